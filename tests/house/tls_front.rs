//! Certificates of the test's own, and TLS in front of a stand-in: it asks for a certificate, notes
//! every byte as it came and passes on what is inside. What it shows can be changed while it runs.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Whoever signs certificates.
pub type Authority = CertifiedIssuer<'static, KeyPair>;

/// From when to when a certificate is good, in days from now.
pub type Days = (i64, i64);

/// Good for long.
pub const GOOD: Days = (-30, 400);

fn dated(mut params: CertificateParams, days: Days) -> CertificateParams {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let now_s = i64::try_from(since.as_secs()).expect("seconds");
    let at = |days: i64| {
        // An hour less, so that whole days are not left by a second.
        let seconds = u64::try_from(now_s + days * 86_400 - 3600).expect("after 1970");
        date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    (params.not_before, params.not_after) = (at(days.0), at(days.1));
    params
}

/// An authority whose own certificate is good for so long.
pub fn authority(days: Days) -> Authority {
    let mut params = dated(CertificateParams::new(Vec::new()).expect("a name"), days);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Another name than the certificates that it signs, or OpenSSL takes those for self-signed.
    params.distinguished_name.push(DnType::CommonName, "an authority");
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed")
}

/// A certificate and its key.
pub struct Identity {
    pub der: CertificateDer<'static>,
    pub pem: String,
    pub key_pem: String,
    key_der: Vec<u8>,
}

impl Identity {
    /// Signed by an authority, for a name.
    pub fn new(authority: &Authority, name: &str, days: Days, serial: u64) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params =
            dated(CertificateParams::new(vec![name.to_owned()]).expect("a name"), days);
        params.serial_number = Some(SerialNumber::from(serial));
        let certificate = params.signed_by(&key, authority).expect("signed");
        Self {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            key_der: key.serialize_der(),
        }
    }

    /// A server that shows it and wants a client of an authority.
    pub fn serves(&self, clients: &Authority) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(clients.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key_der.clone()));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(vec![self.der.clone()], key);
        Arc::new(config.expect("a server"))
    }
}

/// What a front knows.
#[derive(Default)]
struct Notes {
    /// Per connection, every byte that came.
    raw: Vec<Arc<Mutex<Vec<u8>>>>,
    /// The certificates of the clients whose handshakes were good.
    clients: Vec<CertificateDer<'static>>,
}

/// TLS on a port of its own, before a plain port on loopback, until it is dropped.
pub struct Front {
    pub port: u16,
    shows: Arc<Mutex<Arc<ServerConfig>>>,
    notes: Arc<Mutex<Notes>>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Front {
    /// Listens when it returns.
    pub fn start(target: u16, config: Arc<ServerConfig>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("nonblocking");
        let port = listener.local_addr().expect("an address").port();
        let (shows, notes) = (Arc::new(Mutex::new(config)), Arc::<Mutex<Notes>>::default());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (shown, noted) = (Arc::clone(&shows), Arc::clone(&notes));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = accept(listener, target, shown, noted) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { port, shows, notes, _stop: stop }
    }

    /// From the next connection on it shows this.
    pub fn show(&self, config: Arc<ServerConfig>) {
        *self.shows.lock().expect("a configuration") = config;
    }

    /// Every byte that came, per connection.
    pub fn raw(&self) -> Vec<Vec<u8>> {
        let notes = self.notes.lock().expect("notes");
        notes.raw.iter().map(|bytes| bytes.lock().expect("bytes").clone()).collect()
    }

    /// The certificates of the clients whose handshakes were good.
    pub fn clients(&self) -> Vec<CertificateDer<'static>> {
        self.notes.lock().expect("notes").clients.clone()
    }
}

async fn accept(
    listener: TcpListener,
    target: u16,
    shows: Arc<Mutex<Arc<ServerConfig>>>,
    notes: Arc<Mutex<Notes>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = TlsAcceptor::from(Arc::clone(&shows.lock().expect("a configuration")));
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let notes = Arc::clone(&notes);
        notes.lock().expect("notes").raw.push(Arc::clone(&bytes));
        tokio::spawn(async move {
            let Ok(mut stream) = acceptor.accept(Noted { stream, bytes }).await else { return };
            let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let client = shown.first().expect("a client's certificate").clone().into_owned();
            notes.lock().expect("notes").clients.push(client);
            let Ok(mut inside) = TcpStream::connect(("127.0.0.1", target)).await else { return };
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut inside).await;
        });
    }
}

/// A connection whose incoming bytes are noted as they come.
struct Noted {
    stream: TcpStream,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        let came = into.filled().get(before..).unwrap_or_default();
        self.bytes.lock().expect("bytes").extend_from_slice(came);
        polled
    }
}

impl AsyncWrite for Noted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
