//! What a core's own app charted, as an ORU over MLLP: acknowledged when it is durable. A message
//! that names a value which the box does not know, or does not say what became of it, is refused as
//! a whole.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::association::oru::{Fate, Told, read};
use crate::charting::acts::{Bedside, CoreAct, CoreCharted, CoreCharting, Refused};
use crate::forward::hl7v2::map::Map;
use crate::forward::hl7v2::render::names;
use crate::forward::stored::Stored;
use crate::gateway::adt::header;
use crate::gateway::adt::server::Hears;
use crate::journal;
use crate::link::clock;
use crate::protocol::hl7v2::acknowledgement::Answer;
use crate::protocol::hl7v2::mllp::PieceKind;
use crate::protocol::{MessageId, NotKept, Settled};
use crate::vocabulary::moment::utc_text;
use crate::vocabulary::{RecordId, Why};

/// The port, and the map by which the values went out that are named here.
pub struct OruPort {
    pub bedside: Arc<Bedside>,
    pub map: Arc<Map>,
    /// The sender's; where nobody has stated it, a time without an offset is refused.
    pub zone: Option<TimeZone>,
}

impl OruPort {
    async fn take(&self, raw: &[u8]) -> (Settled, Option<Why>) {
        let not_now = (Settled::NotKept(NotKept::NoStorage), None);
        let told = match read(raw, self.zone.as_ref()) {
            Ok(told) => told,
            Err(refused) => {
                // Names fields, shows nothing of them.
                tracing::warn!(%refused, "what a core charted was not read");
                return (Settled::Durable, Some(refused.why));
            }
        };
        let chartings: Result<Option<Vec<_>>, _> =
            told.iter().map(|one| self.charting(one)).collect();
        let chartings = match chartings {
            Ok(Some(chartings)) => chartings,
            Ok(None) => {
                tracing::warn!("a core charted a value that is not of this box");
                return (Settled::Durable, Some(Why::Unreadable));
            }
            Err(error) => {
                tracing::warn!(%error, "what a core charted cannot be looked up now");
                return not_now;
            }
        };
        let id = self.bedside.refs.hash(raw);
        let charted = CoreCharted { chartings, through: None };
        match self.bedside.charted_by_core(&id, &charted).await {
            Ok(_) => (Settled::Durable, None),
            Err(error @ Refused::Charting(_)) => {
                tracing::warn!(%error, "what a core charted was not taken");
                (Settled::Durable, Some(Why::Unreadable))
            }
            Err(error) => {
                tracing::warn!(%error, "what a core charted is not kept now");
                not_now
            }
        }
    }

    /// The value that is meant, by the names under which it went out.
    fn charting(&self, told: &Told) -> Result<Option<CoreCharting>, journal::Error> {
        let mut reader = self.bedside.house.reader();
        let id = RecordId::parse(&told.record).ok().filter(|id| id.is_of(reader.stream()));
        let Some(id) = id else { return Ok(None) };
        let record = reader.read(id.sequence())?;
        let stored = record.and_then(|record| Stored::from_bytes(&record.payload));
        let Some(stored) = stored else { return Ok(None) };
        let named = names(&self.map, &stored).into_iter().find(|named| {
            let code = named.code.split('^').next();
            code == Some(told.code.as_str()) && named.sub_id == told.sub_id
        });
        Ok(named.map(|named| CoreCharting {
            observation_id: named.observation_id,
            act: match told.fate {
                Fate::Confirmed => CoreAct::Confirmed,
                Fate::Rejected => CoreAct::Rejected,
                Fate::Replaced => CoreAct::Replaced,
            },
            reason: None,
            person: told.person.clone(),
            time: utc_text(told.at.us()),
        }))
    }
}

impl Hears for OruPort {
    async fn hear(&self, raw: &[u8], id: MessageId) -> Vec<Vec<u8>> {
        let header = header(raw);
        if header.is_acknowledgement() {
            return Vec::new();
        }
        let (settled, refused) = self.take(raw).await;
        let answer = Answer::Owed { header: Box::new(header), refused };
        answer.blocks_by_message(id, settled, None, clock::now())
    }

    fn damaged(&self, kind: PieceKind) {
        tracing::warn!(?kind, "bytes on the port of what a core charted are no message");
    }

    fn listening(&self, what: Result<SocketAddr, String>) {
        match what {
            Ok(address) => tracing::info!(%address, "what a core charted is heard"),
            Err(why) => tracing::error!(%why, "what a core charted is not heard"),
        }
    }

    fn connections(&self, _count: usize) {}
}
