//! EC2's fake: moto, behind a door of ours at which answers can be lost, refused and rewritten.
//!
//! Moto keeps the machines; the door remembers every request, cuts where it was told to, and lets each machine
//! have the address that the test gives. The query protocol is forms in and XML out, of which this file reads
//! the few elements that it needs.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};

use super::{Machine, Recorded, moto::Moto};

/// Where its machines are ordered.
pub const REGION: &str = "us-east-1";
/// What is ordered: the cheapest that moto is asked for here.
pub const PLAN: &str = "t3.micro";

/// What the door does with the next calls.
#[derive(Debug, Default)]
struct Orders {
    address: Option<IpAddr>,
    cut_launches: usize,
    out_of_stock: bool,
    /// Every call is refused with this message.
    refusal: Option<String>,
}

#[derive(Debug)]
struct Door {
    moto: String,
    client: reqwest::Client,
    orders: Mutex<Orders>,
    requests: Mutex<Vec<Recorded>>,
}

/// One EC2. It ends when it is dropped.
pub struct FakeAws {
    door: Arc<Door>,
    port: u16,
    _serving: JoinSet<()>,
    _moto: Moto,
}

impl FakeAws {
    /// Starts moto and the door; `None`, said loudly, where there is no moto.
    pub async fn start() -> Option<Self> {
        let moto = tokio::task::spawn_blocking(Moto::start).await.expect("it does not panic")?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let door =
            Door { moto: moto.endpoint(), client, orders: Mutex::default(), requests: Mutex::default() };
        let door = Arc::new(door);
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&door)));
        Some(Self { door, port, _serving: serving, _moto: moto })
    }

    /// Scheme, host and port.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.door.orders.lock().expect("unpoisoned")
    }

    /// Every machine is shown with this address.
    pub fn serve_all_at(&self, address: IpAddr) {
        self.orders().address = Some(address);
    }

    /// The next launches are carried out and the connection is cut before the answer.
    pub fn commit_then_cut(&self, launches: usize) {
        self.orders().cut_launches += launches;
    }

    /// Launches are refused because nothing is left.
    pub fn out_of_stock(&self, on: bool) {
        self.orders().out_of_stock = on;
    }

    /// Every call is refused as unauthorised, in these words.
    pub fn refuse_all(&self, message: &str) {
        self.orders().refusal = Some(message.to_owned());
    }

    /// Every request so far, in order of arrival; the path is the action, the credential the whole header.
    pub fn requests(&self) -> Vec<Recorded> {
        self.door.requests.lock().expect("unpoisoned").clone()
    }

    /// How many launches moto carried out.
    pub fn creates(&self) -> usize {
        let is_launch = |request: &&Recorded| request.path == "RunInstances" && request.status == Some(200);
        self.requests().iter().filter(is_launch).count()
    }

    /// The public keys that were imported.
    pub fn keys(&self) -> Vec<String> {
        let key = |request: &Recorded| {
            let form = request.body.as_str()?;
            let material = field(form, "PublicKeyMaterial")?;
            String::from_utf8(STANDARD.decode(material).ok()?).ok()
        };
        self.requests().iter().filter(|request| request.path == "ImportKeyPair").filter_map(key).collect()
    }

    /// The machines that moto has, asked for past the door.
    pub async fn machines(&self) -> Vec<Machine> {
        let scope = format!("AKIATEST/20260101/{REGION}/ec2/aws4_request");
        let asked = self
            .door
            .client
            .post(&self.door.moto)
            .header(
                AUTHORIZATION,
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
            )
            .header("content-type", "application/x-www-form-urlencoded")
            .body("Action=DescribeInstances&Version=2016-11-15");
        let xml = asked.send().await.expect("moto answers").text().await.expect("a body");
        // A launch of ours is a reservation of one.
        let machine = |record: &str| {
            let state = element(record.split("<instanceState>").nth(1)?, "name")?;
            let mark = record.split('<').find_map(|part| part.strip_prefix("value>capsule-"))?;
            let is_there = !["terminated", "shutting-down"].contains(&state);
            is_there.then(|| Machine {
                id: element(record, "instanceId").unwrap_or_default().to_owned(),
                mark: Some(format!("capsule-{mark}")),
            })
        };
        xml.split("<reservationId>").skip(1).filter_map(machine).collect()
    }
}

fn field(form: &str, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(form.as_bytes());
    pairs.find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}

/// The text of the first element of this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    xml.split(&format!("<{name}>")).nth(1)?.split('<').next()
}

async fn serve(listener: TcpListener, door: Arc<Door>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let door = Arc::clone(&door);
        connections.spawn(async move {
            let service = service_fn(move |request| pass(Arc::clone(&door), request));
            // A connection that is cut ends in an error; the test looks at what was recorded.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Hands a request to moto. An error ends the connection without an answer.
async fn pass(door: Arc<Door>, request: hyper::Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
    let lost = || std::io::Error::other("lost at the door");
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| lost())?.to_bytes();
    let form = String::from_utf8_lossy(&body).into_owned();
    let action = field(&form, "Action").unwrap_or_default();
    let credential = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let position = {
        let mut requests = door.requests.lock().expect("unpoisoned");
        requests.push(Recorded {
            method: head.method.to_string(),
            path: action.clone(),
            body: form.into(),
            credential: credential.map(str::to_owned),
            status: None,
        });
        requests.len() - 1
    };
    let refusal = {
        let orders = door.orders.lock().expect("unpoisoned");
        let empty = orders.out_of_stock && action == "RunInstances";
        let refusal = orders.refusal.clone().map(|message| refused(401, "AuthFailure", &message));
        refusal
            .or_else(|| empty.then(|| refused(500, "InsufficientInstanceCapacity", "We have no capacity.")))
    };
    if let Some(refusal) = refusal {
        door.requests.lock().expect("unpoisoned")[position].status = Some(refusal.status().as_u16());
        return Ok(refusal);
    }
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut onward = door.client.request(head.method, format!("{}{path}", door.moto)).body(body);
    for (name, value) in &head.headers {
        if ![HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) {
            onward = onward.header(name, value);
        }
    }
    let answer = onward.send().await.map_err(|_| lost())?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let answer = answer.bytes().await.map_err(|_| lost())?;
    door.requests.lock().expect("unpoisoned")[position].status = Some(status.as_u16());
    let (address, is_cut) = {
        let mut orders = door.orders.lock().expect("unpoisoned");
        let is_cut = action == "RunInstances" && status.is_success() && 0 < orders.cut_launches;
        orders.cut_launches -= usize::from(is_cut);
        (orders.address, is_cut)
    };
    if is_cut {
        return Err(lost());
    }
    let mut response = Response::new(Body::from(with_address(answer, address)));
    *response.status_mut() = status;
    for (name, value) in
        headers.iter().filter(|(name, _)| ![CONTENT_LENGTH, TRANSFER_ENCODING].contains(name))
    {
        response.headers_mut().append(name, value.clone());
    }
    Ok(response)
}

fn refused(status: u16, code: &str, message: &str) -> Response<Body> {
    let xml = format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
         <RequestID>c0ffee00</RequestID></Response>"
    );
    let mut response = Response::new(Body::from(xml));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

/// An answer whose machines are where the test wants them.
fn with_address(answer: Bytes, address: Option<IpAddr>) -> Bytes {
    let Some(address) = address else { return answer };
    let text = String::from_utf8_lossy(&answer).into_owned();
    let mut parts = text.split("<ipAddress>");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = |part: &str| {
        let (_, after) = part.split_once('<').unwrap_or(("", part));
        format!("<ipAddress>{address}<{after}")
    };
    parts.fold(first, |whole, part| whole + &rest(part)).into()
}
