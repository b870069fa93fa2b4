//! A local HTTP server that behaves as told and keeps what it got. It writes its answers byte by byte, so
//! it can misbehave in ways a proper server library would not allow.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// What to do with each request.
#[derive(Debug, Clone)]
pub(super) enum Behaviour {
    /// Status line, headers and body as given, then close.
    Answer(String),
    /// Read the request and never answer.
    Silent,
    /// Read the request and close.
    Cut,
    /// 200 and a body without end.
    Endless,
}

/// `status`, `headers` (each ending in CRLF) and `body` as an answer.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> Behaviour {
    let length = body.len();
    Behaviour::Answer(format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))
}

/// A request as it came.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) start: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

pub(super) struct Sink {
    pub(super) address: SocketAddr,
    received: mpsc::UnboundedReceiver<Received>,
    server: JoinHandle<()>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Sink {
    pub(super) async fn start(behaviour: Behaviour) -> Self {
        Self::listen(behaviour, None).await
    }

    /// Also gives the PEM certificate to trust; it is for `localhost`.
    pub(super) async fn start_tls(behaviour: Behaviour) -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .expect("a usable certificate");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        (Self::listen(behaviour, Some(acceptor)).await, made.cert.pem())
    }

    async fn listen(behaviour: Behaviour, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (kept, received) = mpsc::unbounded_channel();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (behaviour, kept, tls) = (behaviour.clone(), kept.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, behaviour, kept).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, behaviour, kept).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, received, server }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The oldest request that was not taken yet; the sender has its answer, so it is here.
    pub(super) fn take(&mut self) -> Received {
        self.received.try_recv().expect("a request has arrived")
    }

    pub(super) fn is_empty(&mut self) -> bool {
        self.received.try_recv().is_err()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    behaviour: Behaviour,
    kept: mpsc::UnboundedSender<Received>,
) {
    let Some(request) = read(&mut stream).await else { return };
    // The test that no longer listens has what it wanted.
    let _ = kept.send(request);
    match behaviour {
        Behaviour::Answer(text) => drop(stream.write_all(text.as_bytes()).await),
        Behaviour::Silent => std::future::pending().await,
        Behaviour::Cut => {}
        Behaviour::Endless => {
            let head = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
            let mut going = head.is_ok();
            while going {
                going = stream.write_all(&[b'x'; 65_536]).await.is_ok();
            }
        }
    }
    let _ = stream.shutdown().await;
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Received> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let mut lines = head.lines();
        let start = lines.next()?.to_owned();
        let headers: HashMap<_, _> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            return Some(Received { start, headers, body: body.to_owned() });
        }
    }
}
