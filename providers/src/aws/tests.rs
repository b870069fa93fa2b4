//! Calls against a server that misbehaves on purpose: what is repeated, what is not, and what is made of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use capsule_api::{Arch, InstanceRef, ProviderName};
use secrecy::SecretString;
use serde_json::json;
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

/// One request: its form fields, and its signature under [`SIGNATURE`].
type Form = BTreeMap<String, String>;

const SIGNATURE: &str = "authorization header";

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
            let header = |wanted: &str| {
                let mut lines = head.lines().filter_map(|line| line.split_once(": "));
                lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned())
            };
            let length = header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
            if length <= body.len() {
                let mut form: Form = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
                form.extend(header("authorization").map(|value| (SIGNATURE.to_owned(), value)));
                return Some(form);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

async fn reply(stream: &mut TcpStream, status: u16, body: &str) {
    let length = body.len();
    // The metadata service says how long its token lives; to others the line means nothing.
    let head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\n\
         x-aws-ec2-metadata-token-ttl-seconds: 21600\r\nconnection: close\r\n\r\n"
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

/// Runs `test` again in a process of its own with `variable` set: the SDK reads the environment, and other
/// tests share ours.
fn in_a_process_with(variable: &str, value: &std::ffi::OsStr, test: &str) {
    let itself = std::env::current_exe().expect("a test program");
    let output = std::process::Command::new(itself)
        .args(["--exact", &format!("aws::tests::{test}")])
        .env(variable, value)
        .env(INNER, "1")
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Set in the process that [`in_a_process_with`] starts.
const INNER: &str = "CAPSULE_AWS_INNER_TEST";

async fn signature_of_a_read(fields: &[(&str, &str)], server: &Server) -> String {
    let endpoint = Some(server.address.clone());
    let settings = CallSettings { endpoint, max_retries: 0, ..CallSettings::default() };
    let provider = connect(ProviderName::Aws, &credential(fields), settings).expect("a client");
    let mark = Mark::of(uuid::Uuid::now_v7());
    provider.find_marked(&mark, "us-east-1").await.expect("an empty list");
    server.requests().last().and_then(|form| form.get(SIGNATURE).cloned()).expect("a signed request")
}

#[tokio::test]
async fn a_profile_of_the_vendors_own_files_signs() {
    if std::env::var_os(INNER).is_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("credentials");
        let text = "[work]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = canary\n";
        std::fs::write(&file, text).expect("written");
        let test = "a_profile_of_the_vendors_own_files_signs";
        return in_a_process_with("AWS_SHARED_CREDENTIALS_FILE", file.as_os_str(), test);
    }
    let server = Server::start(&[described("")]).await;
    let signature = signature_of_a_read(&[("profile", "work"), ("region", "us-east-1")], &server).await;
    assert!(signature.contains("Credential=AKIAPROFILE/"), "{signature}");
}

#[tokio::test]
async fn without_keys_or_profile_the_instances_role_signs() {
    const METADATA: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    let reply = |body: &str| Answer::Reply(200, body.to_owned());
    if std::env::var_os(INNER).is_none() {
        let role = r#"{"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIAROLE", "SecretAccessKey": "canary",
            "Token": "t", "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2126-01-01T00:00:00Z"}"#;
        let metadata = Server::start(&[reply("a-token"), reply("our-role"), reply(role)]).await;
        let address = metadata.address.to_string();
        let test = "without_keys_or_profile_the_instances_role_signs";
        let inner = tokio::task::spawn_blocking(move || in_a_process_with(METADATA, address.as_ref(), test));
        return inner.await.expect("the role signs");
    }
    let server = Server::start(&[described("")]).await;
    let signature = signature_of_a_read(&[("region", "us-east-1")], &server).await;
    assert!(signature.contains("Credential=ASIAROLE/"), "{signature}");
}

/// Takes down every field of every span and event, whatever its level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl tracing::field::Visit for Log {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.lock().expect("no panic before").push_str(&format!("{field}={value:?} "));
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        attributes.record(&mut self.clone());
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn no_secret_is_logged_at_any_level() {
    let log = Log::default();
    // This thread's only, and the tasks of this test's runtime, which has no other thread.
    let guard = tracing::subscriber::set_default(log.clone());
    let fields =
        [("access_key_id", "AKIATEST"), ("secret_access_key", "canary-key"), ("region", "us-east-1")];
    let fields = fields.into_iter().chain([("session_token", "canary-token")]).collect::<Vec<_>>();
    let server = Server::start(&[refusal(500, "InternalError")]).await;
    let settings =
        CallSettings { endpoint: Some(server.address.clone()), max_retries: 0, ..CallSettings::default() };
    let provider = connect(ProviderName::Aws, &credential(&fields), settings).expect("a client");
    let new = NewInstance { user_data: Some(SecretString::from("canary-data")), ..new_instance() };
    provider.create(&new, &prepared()).await.expect_err("fails");
    provider.find_marked(&new.mark, "us-east-1").await.expect_err("fails");
    drop(guard);
    let text = log.0.lock().expect("no panic before").clone();
    assert!(text.contains("run instances"), "the calls themselves are told of: {text}");
    // The user data as it is sent, in base64; and a line of the SDK's own, which would be there without our
    // keeping it quiet.
    for words in ["canary", "Y2FuYXJ5LWRhdGE", "settings for this operation"] {
        assert!(!text.contains(words), "{text}");
    }
}

fn regions() -> Answer {
    let item = |name: &str| format!("<item><regionName>{name}</regionName></item>");
    let info = item("eu-west-1") + &item("us-east-1");
    Answer::Reply(
        200,
        format!("<DescribeRegionsResponse><regionInfo>{info}</regionInfo></DescribeRegionsResponse>"),
    )
}

fn on_sale(size: &str) -> Answer {
    let item = format!("<item><instanceType>{size}</instanceType></item>");
    let set = format!("<instanceTypeOfferingSet>{item}</instanceTypeOfferingSet>");
    Answer::Reply(
        200,
        format!("<DescribeInstanceTypeOfferingsResponse>{set}</DescribeInstanceTypeOfferingsResponse>"),
    )
}

fn sizes(size: &str) -> Answer {
    let item = format!(
        "<item><instanceType>{size}</instanceType><vCpuInfo><defaultVCpus>2</defaultVCpus></vCpuInfo>\
         <memoryInfo><sizeInMiB>8192</sizeInMiB></memoryInfo></item>"
    );
    let set = format!("<instanceTypeSet>{item}</instanceTypeSet>");
    Answer::Reply(200, format!("<DescribeInstanceTypesResponse>{set}</DescribeInstanceTypesResponse>"))
}

fn price_list(size: &str, usd: &str) -> Answer {
    let dimensions = json!({ "S.T.D": { "unit": "Hrs", "pricePerUnit": { "USD": usd } } });
    let product = json!({
        "product": { "attributes": { "instanceType": size } },
        "terms": { "OnDemand": { "S.T": { "priceDimensions": dimensions } } },
    });
    Answer::Reply(200, json!({ "FormatVersion": "aws_v1", "PriceList": [product.to_string()] }).to_string())
}

#[tokio::test]
async fn the_sizes_of_the_default_region_have_the_prices_of_the_list() {
    let shipped = [on_sale("t3.micro"), sizes("t3.micro")];
    let listed = [on_sale("m7g.large"), sizes("m7g.large")];
    let answers = [&[regions(), price_list("m7g.large", "0.0911000000")], &shipped[..], &listed].concat();
    let catalogue = Server::start(&answers).await.client().catalogue().await.expect("a catalogue");
    let offers: Vec<_> = catalogue
        .offers
        .iter()
        .map(|offer| (offer.plan.as_str(), offer.region.as_str(), offer.price.hourly_micros))
        .collect();
    assert_eq!(offers, [("t3.micro", "us-east-1", 10_400), ("m7g.large", "eu-west-1", 91_100)]);
}

#[tokio::test]
async fn who_may_not_ask_for_prices_gets_those_that_are_shipped() {
    let denied =
        json!({ "__type": "AccessDeniedException", "Message": "not authorized: pricing:GetProducts" });
    let answers = [regions(), Answer::Reply(400, denied.to_string()), on_sale("t3.micro"), sizes("t3.micro")];
    let catalogue = Server::start(&answers).await.client().catalogue().await.expect("a catalogue");
    assert_eq!(catalogue.offers.len(), 1);
    assert_eq!(catalogue.offers[0].price.hourly_micros, 10_400);
}
