//! The bedside of the demo: a page on loopback, two made-up patients whom the administration
//! admits, labels on every device, and made-up people to sign in as.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Error;
use crate::simulator::clock;

/// The root of the made-up patients' numbers.
const ROOT: &str = "1.2.246.10.99999999.22.1";
/// The start of block and its two ends (MLLP).
const START: u8 = 0x0b;
const END: &[u8] = b"\x1c\r";

/// How long the gateway may take to answer the administration.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A made-up patient.
struct Patient {
    wristband: &'static str,
    family: &'static str,
    given: &'static str,
    born: &'static str,
    bed: u8,
}

const PATIENTS: [Patient; 2] = [
    Patient { wristband: "P00000001", family: "Testinen", given: "Aino", born: "19450212", bed: 1 },
    Patient {
        wristband: "P00000002",
        family: "Esimerkki",
        given: "Eino",
        born: "19620730",
        bed: 2,
    },
];

/// Where the bedside and the administration's port are.
#[derive(Clone, Copy, Debug)]
pub struct Bedside {
    page: SocketAddr,
    adt: SocketAddr,
}

impl Bedside {
    /// Two ports that are free now.
    ///
    /// # Errors
    /// There are none.
    pub fn on_free_ports() -> Result<Self, Error> {
        let free = || -> std::io::Result<SocketAddr> {
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
        };
        let failed = |error| Error::Io("a free port".to_owned(), error);
        Ok(Self { page: free().map_err(failed)?, adt: free().map_err(failed)? })
    }

    /// The address of the page.
    pub fn url(self) -> String {
        format!("http://{}/", self.page)
    }

    /// The tables of the gateway's configuration.
    pub fn tables(self) -> Tables {
        let origin = format!("http://{}", self.page);
        let mut places = toml::Table::new();
        for patient in &PATIENTS {
            let place = format!("icu/bed-{}", patient.bed);
            places.insert(format!("ICU^^{}", patient.bed), toml::Value::String(place));
        }
        let people = [
            ("nurse-1", "Sari Sairaanhoitaja", "nurse"),
            ("nurse-2", "Nils Sjukskötare", "nurse"),
            ("student-1", "Outi Opiskelija", "student"),
        ];
        Tables {
            association: json!({ "scan": { "code": [
                { "means": "wristband", "form": "P{8 digits}", "root": ROOT },
                { "means": "device", "form": "D{6 digits}" },
                { "means": "specimen", "form": "S{8 digits}" },
            ] } }),
            adt: json!({
                "listen": self.adt.to_string(),
                "patients": {
                    "main_roots": [ROOT],
                    "authorities": { "DEMO": ROOT },
                    "places": places,
                },
            }),
            charting: json!({
                "listen": self.page.to_string(),
                "origins": [origin],
                "owner": "box",
            }),
            identity: json!({
                "development": true,
                "issuer": "https://development.wardgate.invalid",
                "audience": "wardgate-box",
                "clients": ["wardgate-bedside"],
                "role": [
                    { "value": "nurse", "role": "registered-nurse" },
                    { "value": "student", "role": "student" },
                ],
                "person": people.map(|(id, name, role)| {
                    json!({ "id": id, "name": name, "roles": [role], "wards": ["icu"] })
                }),
            }),
        }
    }

    /// The label of the n-th device, counted from 0.
    pub fn label(number: usize) -> String {
        format!("D{:06}", number + 1)
    }

    /// What a person is told.
    pub fn words(self) -> String {
        let bands = PATIENTS.map(|patient| patient.wristband).join(", ");
        format!(
            "the bedside page is open at {} while this runs (--for 30m keeps it open); wristbands \
             {bands}; devices are labelled from {} on",
            self.url(),
            Self::label(0)
        )
    }

    /// The administration admits the patients; the gateway says that it has kept it.
    ///
    /// # Errors
    /// It did not.
    pub async fn admit(self) -> Result<(), Error> {
        let failed = |error| Error::Io("the administration's port".to_owned(), error);
        let mut stream = TcpStream::connect(self.adt).await.map_err(failed)?;
        for (number, patient) in PATIENTS.iter().enumerate() {
            let mut message = vec![START];
            message.extend_from_slice(patient.admission(number).as_bytes());
            message.extend_from_slice(END);
            stream.write_all(&message).await.map_err(failed)?;
            let answer = tokio::time::timeout(ANSWER_WITHIN, answer(&mut stream)).await;
            let answer = answer.map_err(|_| failed(std::io::ErrorKind::TimedOut.into()))?;
            let answer = answer.map_err(failed)?;
            if !answer.contains("MSA|AA|") {
                let first = answer.lines().next().unwrap_or_default().to_owned();
                return Err(Error::Late(format!("an admission was not kept: {first}")));
            }
        }
        Ok(())
    }
}

async fn answer(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 512];
    while !bytes.ends_with(END) {
        match stream.read(&mut piece).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(piece.get(..read).unwrap_or_default()),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Patient {
    /// ADT^A01 as a hospital's system writes it.
    fn admission(&self, number: usize) -> String {
        let now = clock::hl7(clock::now_us());
        let Self { wristband, family, given, born, bed } = self;
        format!(
            "MSH|^~\\&|DEMO-ADT|DEMO|WARDGATE|DEMO|{now}||ADT^A01^ADT_A01|DEMO{number}|P|2.5\r\
             EVN|A01|{now}\r\
             PID|1||{wristband}^^^DEMO^MR||{family}^{given}||{born}\r\
             PV1|1|I|ICU^^{bed}|||||||||||||||||V{number}\r"
        )
    }
}

/// Tables of the configuration that only the bedside needs.
#[derive(Serialize)]
pub struct Tables {
    pub association: Value,
    pub adt: Value,
    pub charting: Value,
    pub identity: Value,
}
