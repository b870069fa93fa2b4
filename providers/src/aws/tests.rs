//! Calls against a server that misbehaves on purpose: what is repeated, what is not, and what is made of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use capsule_api::{Arch, InstanceRef, ProviderName};
use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{CallSettings, Credential, Mark, NewInstance, Provider, ProviderError, connect};

/// What the server does with a request.
#[derive(Clone)]
enum Answer {
    /// Takes the whole request and hangs up.
    Cut,
    /// Takes the whole request and says nothing more.
    Silence,
    /// A status and a body.
    Reply(u16, String),
}

/// Refusals in EC2's shape.
fn refusal(status: u16, code: &str) -> Answer {
    let error = format!("<Error><Code>{code}</Code><Message>as asked</Message></Error>");
    Answer::Reply(status, format!("<Response><Errors>{error}</Errors><RequestID>r</RequestID></Response>"))
}

fn described(instances: &str) -> Answer {
    let set = format!("<reservationSet>{instances}</reservationSet>");
    Answer::Reply(200, format!("<DescribeInstancesResponse>{set}</DescribeInstancesResponse>"))
}

/// One request: its form fields.
type Form = BTreeMap<String, String>;

/// Gives each request the next answer, and the last one for good.
struct Server {
    address: url::Url,
    seen: Arc<Mutex<Vec<Form>>>,
}

impl Server {
    async fn start(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answers, log) = (answers.to_vec(), seen.clone());
        tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.expect("accepted");
                let Some(form) = read_form(&mut stream).await else { continue };
                let number = {
                    let mut log = log.lock().expect("no panic before");
                    log.push(form);
                    log.len() - 1
                };
                match &answers[number.min(answers.len() - 1)] {
                    Answer::Cut => {}
                    Answer::Silence => held.push(stream),
                    Answer::Reply(status, body) => reply(&mut stream, *status, body).await,
                }
            }
        });
        Self { address: address.parse().expect("an address"), seen }
    }

    fn requests(&self) -> Vec<Form> {
        self.seen.lock().expect("no panic before").clone()
    }

    fn count(&self, action: &str) -> usize {
        self.requests().iter().filter(|form| form.get("Action").is_some_and(|a| a == action)).count()
    }

    fn client(&self) -> Arc<dyn Provider> {
        client(self.address.clone())
    }
}

fn client(endpoint: url::Url) -> Arc<dyn Provider> {
    let settings = CallSettings {
        timeout: Duration::from_millis(500),
        max_retries: 3,
        backoff: Duration::from_millis(1),
        endpoint: Some(endpoint),
    };
    connect(ProviderName::Aws, &keys(), settings).expect("a client")
}

fn credential(fields: &[(&str, &str)]) -> Credential {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value)));
    Credential { fields: fields.collect() }
}

fn keys() -> Credential {
    credential(&[("access_key_id", "AKIATEST"), ("secret_access_key", "canary"), ("region", "eu-west-1")])
}

async fn read_form(stream: &mut TcpStream) -> Option<Form> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length = lengths.find_map(|(_, value)| value.parse().ok()).unwrap_or(0);
            if length <= body.len() {
                return Some(url::form_urlencoded::parse(body.as_bytes()).into_owned().collect());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

async fn reply(stream: &mut TcpStream, status: u16, body: &str) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    // The client may have gone; what it made of that is what the test looks at.
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}

fn new_instance() -> NewInstance {
    NewInstance {
        mark: Mark::of(uuid::Uuid::now_v7()),
        name: "api".to_owned(),
        plan: "t3.micro".to_owned(),
        region: "us-east-1".to_owned(),
        image: "ubuntu-24.04".to_owned(),
        arch: Arch::X86_64,
        bare_metal: false,
        ssh_keys: Vec::new(),
        user_data: Some(SecretString::from("#cloud-config\n")),
        open_ports: vec![22],
        tags: vec!["web".to_owned()],
    }
}

fn prepared() -> serde_json::Value {
    serde_json::json!({
        "image_id": "ami-1", "root_disk": { "device_name": "/dev/sda1", "size_gib": 8 }, "key_name": "capsule-1", "security_group_id": "sg-1",
    })
}

async fn create_against(
    answer: Answer,
) -> (std::result::Result<crate::Created, ProviderError>, Server, Mark) {
    let server = Server::start(&[answer]).await;
    let new = new_instance();
    let outcome = server.client().create(&new, &prepared()).await;
    (outcome, server, new.mark)
}

#[tokio::test]
async fn a_launch_without_a_clear_end_is_sent_once_and_its_outcome_unknown() {
    let garbage = Answer::Reply(200, "<RunInstancesResponse><instancesSet><item>".to_owned());
    let empty = Answer::Reply(200, "<RunInstancesResponse></RunInstancesResponse>".to_owned());
    for answer in [
        Answer::Cut,
        Answer::Silence,
        refusal(500, "InternalError"),
        refusal(503, "Unavailable"),
        garbage,
        empty,
    ] {
        let (outcome, server, _) = create_against(answer).await;
        let error = outcome.expect_err("no clear end");
        assert_eq!(error.code(), "unknown_outcome", "{error}");
        assert_eq!(server.count("RunInstances"), 1);
    }
}

#[tokio::test]
async fn a_launch_that_is_refused_says_why_and_is_sent_once() {
    for (status, code, class) in [
        (500, "InsufficientInstanceCapacity", "out_of_stock"),
        (400, "VcpuLimitExceeded", "quota"),
        (503, "RequestLimitExceeded", "rate_limited"),
        (403, "UnauthorizedOperation", "unauthorised"),
        (400, "InvalidAMIID.NotFound", "not_found"),
        (400, "IdempotentParameterMismatch", "unknown_outcome"),
    ] {
        let (outcome, server, _) = create_against(refusal(status, code)).await;
        assert_eq!(outcome.expect_err("refused").code(), class, "{code}");
        assert_eq!(server.count("RunInstances"), 1, "{code}");
    }
}

#[tokio::test]
async fn a_launch_carries_its_mark_twice_and_a_disk_that_goes_with_it() {
    let record =
        "<item><instanceId>i-0abc</instanceId><instanceState><name>pending</name></instanceState></item>";
    let body = format!("<RunInstancesResponse><instancesSet>{record}</instancesSet></RunInstancesResponse>");
    let (outcome, server, mark) = create_against(Answer::Reply(200, body)).await;
    let made = outcome.expect("made").instance;
    assert_eq!(made.reference(), InstanceRef { id: "i-0abc".to_owned(), place: "us-east-1".to_owned() });
    let form = &server.requests()[0];
    for (field, value) in [
        ("ClientToken", mark.as_str()),
        ("TagSpecification.1.Tag.1.Key", "capsule:deployment"),
        ("TagSpecification.1.Tag.1.Value", mark.as_str()),
        ("TagSpecification.1.Tag.3.Value", "web"),
        ("TagSpecification.2.ResourceType", "volume"),
        ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
        ("BlockDeviceMapping.1.Ebs.VolumeSize", "8"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("MetadataOptions.HttpTokens", "required"),
        ("SecurityGroupId.1", "sg-1"),
        ("UserData", "I2Nsb3VkLWNvbmZpZwo="),
    ] {
        assert_eq!(form.get(field).map(String::as_str), Some(value), "{field} in {form:?}");
    }
}

#[tokio::test]
async fn a_connection_that_never_came_about_made_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let provider = client(address.parse().expect("an address"));
    let error = provider.create(&new_instance(), &prepared()).await.expect_err("nobody there");
    assert_eq!(error.code(), "unavailable", "{error}");
}

#[tokio::test]
async fn a_read_is_repeated_until_it_succeeds() {
    let answers =
        [refusal(503, "Unavailable"), Answer::Cut, refusal(503, "RequestLimitExceeded"), described("")];
    let server = Server::start(&answers).await;
    let found = server.client().find_marked(&Mark::of(uuid::Uuid::now_v7()), "us-east-1").await;
    assert!(found.expect("the fourth answer").is_empty());
    assert_eq!(server.count("DescribeInstances"), answers.len());
}

#[tokio::test]
async fn a_read_is_repeated_only_as_often_as_the_account_allows() {
    let server = Server::start(&[refusal(500, "InternalError")]).await;
    let reference = InstanceRef { id: "i-0abc".to_owned(), place: String::new() };
    let error = server.client().instance(&reference).await.expect_err("fails for good");
    assert_eq!(error.code(), "unavailable", "{error}");
    assert_eq!(server.count("DescribeInstances"), 4);
}

#[tokio::test]
async fn what_does_not_exist_is_none_to_a_question_and_success_to_a_deletion() {
    let server = Server::start(&[refusal(400, "InvalidInstanceID.NotFound")]).await;
    let reference = InstanceRef { id: "i-0abc".to_owned(), place: "us-east-1".to_owned() };
    let provider = server.client();
    assert_eq!(provider.instance(&reference).await.expect("an answer"), None);
    provider.delete(&reference).await.expect("already gone");
    assert_eq!(provider.start(&reference).await.expect_err("nothing to start").code(), "not_found");
}

#[tokio::test]
async fn a_list_is_read_to_its_last_page_without_what_is_gone() {
    let page = |id: &str, state: &str, next: &str| {
        let record =
            format!("<instanceId>{id}</instanceId><instanceState><name>{state}</name></instanceState>");
        let set = format!("<item><instancesSet><item>{record}</item></instancesSet></item>");
        let body = format!("<reservationSet>{set}</reservationSet>{next}");
        Answer::Reply(200, format!("<DescribeInstancesResponse>{body}</DescribeInstancesResponse>"))
    };
    let answers = [
        page("i-1", "running", "<nextToken>two</nextToken>"),
        page("i-2", "terminated", "<nextToken>three</nextToken>"),
        page("i-3", "stopped", "<nextToken></nextToken>"),
    ];
    let server = Server::start(&answers).await;
    let mark = Mark::of(uuid::Uuid::now_v7());
    let found = server.client().find_marked(&mark, "us-east-1").await.expect("three pages");
    assert_eq!(found.iter().map(|instance| instance.id.as_str()).collect::<Vec<_>>(), ["i-1", "i-3"]);
    let requests = server.requests();
    assert_eq!(requests[2].get("NextToken").map(String::as_str), Some("three"));
    assert_eq!(requests[0].get("Filter.1.Name").map(String::as_str), Some("tag:capsule:deployment"));
    assert_eq!(requests[0].get("Filter.1.Value.1").map(String::as_str), Some(mark.as_str()));
}

#[tokio::test]
async fn a_credential_that_may_not_look_is_refused_and_one_that_may_is_named() {
    let caller = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/capsule</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>";
    let caller = Answer::Reply(200, caller.to_owned());
    let server = Server::start(&[caller.clone(), refusal(412, "DryRunOperation")]).await;
    let identity = server.client().check_credential().await.expect("allowed");
    assert_eq!(identity.account, "arn:aws:iam::1:user/capsule");
    assert_eq!(server.requests()[1].get("DryRun").map(String::as_str), Some("true"));

    let server = Server::start(&[caller, refusal(403, "UnauthorizedOperation")]).await;
    assert_eq!(server.client().check_credential().await.expect_err("may not look").code(), "unauthorised");
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let huge = "x".repeat(17 * 1024 * 1024);
    let server = Server::start(&[Answer::Reply(200, huge)]).await;
    let mark = Mark::of(uuid::Uuid::now_v7());
    let error = server.client().find_marked(&mark, "us-east-1").await.expect_err("too large");
    assert!(["unreadable", "unavailable"].contains(&error.code()), "{error}");
    assert!(error.to_string().contains("limit"), "{error}");
}

#[test]
fn half_a_key_pair_and_an_open_address_are_refused() {
    for fields in
        [[("access_key_id", "AKIATEST"), ("region", "r")], [("secret_access_key", "s"), ("region", "r")]]
    {
        let outcome = connect(ProviderName::Aws, &credential(&fields), CallSettings::default());
        assert_eq!(outcome.expect_err("half a pair").code(), "invalid");
    }
    let endpoint = "http://example.org".parse().ok();
    let outcome = connect(ProviderName::Aws, &keys(), CallSettings { endpoint, ..CallSettings::default() });
    assert_eq!(outcome.expect_err("in the clear").code(), "invalid");
    let shown =
        format!("{:?}", connect(ProviderName::Aws, &keys(), CallSettings::default()).expect("a client"));
    assert!(shown.contains("eu-west-1") && !shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn a_profile_that_does_not_exist_is_an_unusable_credential() {
    let server = Server::start(&[described("")]).await;
    let credential = credential(&[("profile", "capsule-has-no-such-profile"), ("region", "us-east-1")]);
    let endpoint = Some(server.address.clone());
    let settings = CallSettings { endpoint, backoff: Duration::from_millis(1), ..CallSettings::default() };
    let provider = connect(ProviderName::Aws, &credential, settings).expect("a client");
    let error = provider.create(&new_instance(), &prepared()).await.expect_err("no keys");
    assert_eq!(error.code(), "unauthorised", "{error}");
    assert!(server.requests().is_empty(), "nothing is sent without keys");
}
