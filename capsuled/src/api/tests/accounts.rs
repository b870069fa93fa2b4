//! Provider accounts, with clouds in memory.

use std::sync::{Arc, Mutex};

use capsule_api::{AccountName, EventKind, InstanceRef, Placement, ProviderName, Role, ServerSpec};
use capsule_providers::{Identity, Provider};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    api::testing::{Reply, TestApi, peer},
    context::scripted::ScriptedProvider,
    model::Caller,
    store::{Lane, StoreError, xnodes},
    usecases::{
        accounts::{self, testing},
        deployments,
    },
};

const CANARY: &str = "dop_v1_CANARY_4711";
const ROTATED: &str = "dop_v1_CANARY_4712";

/// The account `name` logs in to `cloud` with one of the canaries and with nothing else.
fn door(api: &TestApi, name: &str, cloud: &Arc<ScriptedProvider>) -> AccountName {
    let name: AccountName = name.parse().expect("a name");
    let cloud = Arc::clone(cloud);
    api.context.clouds.put_with(&name, move |credential| {
        let key = credential.fields.get("api_key").map(|key| key.expose_secret().to_owned());
        if [CANARY, ROTATED].into_iter().any(|known| key.as_deref() == Some(known)) {
            return Ok(Arc::clone(&cloud) as Arc<dyn Provider>);
        }
        let closed = ScriptedProvider::new(cloud.name());
        closed.fail_always("check_credential", closed.unauthorised());
        Ok(Arc::new(closed))
    });
    name
}

fn cloud(provider: ProviderName) -> Arc<ScriptedProvider> {
    Arc::new(ScriptedProvider::new(provider))
}

fn instance(provider: ProviderName, id: &str) -> capsule_api::Instance {
    serde_json::from_value(json!({
        "id": id, "name": format!("web-{id}"), "provider": provider, "status": "running",
        "ip_address": "192.0.2.9", "region": "ams", "created_at": "2026-01-02T03:04:05Z",
        "metadata": {"user_data": "s3cret"}, "plan": "small", "tags": [], "place": ""
    }))
    .expect("an instance")
}

async fn configure(api: &TestApi, provider: &str, key: &str) -> Reply {
    let body = json!({"provider": provider, "fields": {"api_key": key}});
    api.post("/v1/accounts").json(body).send().await
}

#[tokio::test]
async fn a_credential_is_stored_only_when_the_provider_accepts_it() {
    let api = TestApi::start().await;
    let vultr = cloud(ProviderName::Vultr);
    door(&api, "vultr", &vultr);
    configure(&api, "vultr", "wrong").await.is_problem(502, "unauthorised");
    vultr.fail("check_credential", vultr.unavailable());
    configure(&api, "vultr", CANARY).await.is_problem(502, "unavailable");
    assert_eq!(api.get("/v1/accounts").send().await.json["items"], json!([]));
    assert_eq!(
        xnodes::count_sealed(&mut api.context.store.reader().await.expect("a reader"))
            .await
            .expect("a count"),
        0
    );

    let learned = [("team".to_owned(), "blue".to_owned()), ("api_key".to_owned(), "never".to_owned())].into();
    vultr.set_identity(Identity { account: "ops@example.org".to_owned(), learned });
    let made = configure(&api, "vultr", CANARY).await;
    assert_eq!((made.status, made.header("location")), (201, "/v1/accounts/vultr"), "{}", made.text);
    assert_eq!(made.json["state"], "proved");
    assert_eq!(made.json["owner"], "ops@example.org");
    assert_eq!(made.json["fields"], json!({"team": "blue"}), "what was learned is stored, secrets are not");
    assert_eq!(made.json["secret_fields"], json!(["api_key"]));
    assert_eq!(
        xnodes::count_sealed(&mut api.context.store.reader().await.expect("a reader"))
            .await
            .expect("a count"),
        1
    );
    configure(&api, "vultr", CANARY).await.is_problem(409, "name_taken");
}

#[tokio::test]
async fn a_rotation_that_is_refused_leaves_the_working_credential() {
    let api = TestApi::start().await;
    let vultr = cloud(ProviderName::Vultr);
    let name = door(&api, "vultr", &vultr);
    assert_eq!(configure(&api, "vultr", CANARY).await.status, 201);
    accounts::client(&api.context, &name).await.expect("a client");
    let first = api.context.clouds.get(&name, 1).expect("it is kept");
    let patch = |body: Value| api.patch("/v1/accounts/vultr").json(body).header("if-match", "\"1\"");

    patch(json!({"fields": {"api_key": "wrong"}})).send().await.is_problem(502, "unauthorised");
    let kept = api.get("/v1/accounts/vultr").send().await;
    assert_eq!((kept.header("etag"), &kept.json["state"]), ("\"1\"", &json!("proved")));
    patch(json!({"fields": {"api_key": null}})).send().await.is_problem(422, "invalid");
    patch(json!({"settings": {"timeout_ms": 5}})).send().await.is_problem(422, "invalid");
    patch(json!({"settings": {"endpoint": "http://192.0.2.1/"}})).send().await.is_problem(422, "invalid");

    let body = json!({"fields": {"api_key": ROTATED}, "settings": {"max_retries": 0}});
    let rotated = patch(body.clone()).send().await;
    assert_eq!((rotated.status, rotated.header("etag")), (200, "\"2\""), "{}", rotated.text);
    assert_eq!(rotated.json["settings"], json!({"max_retries": 0}));
    patch(body).send().await.is_problem(412, "stale");
    let used = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&used);
    api.context.clouds.put_with(&name, move |credential| {
        *seen.lock().expect("whole") = Some(credential.fields["api_key"].expose_secret().to_owned());
        Ok(Arc::new(ScriptedProvider::new(ProviderName::Vultr)))
    });
    accounts::client(&api.context, &name).await.expect("a client");
    let second = api.context.clouds.get(&name, 2).expect("it is kept");
    assert!(!Arc::ptr_eq(&first, &second));
    assert_eq!(used.lock().expect("whole").as_deref(), Some(ROTATED), "what was sealed opens again");
}

#[tokio::test]
async fn fields_are_those_of_the_provider_and_a_misplaced_secret_is_not_repeated() {
    let api = TestApi::start().await;
    door(&api, "vultr", &cloud(ProviderName::Vultr));
    for (fields, field) in [
        (json!({}), "fields.api_key"),
        (json!({"api_key": " "}), "fields.api_key"),
        (json!({"api_key": "a\nb"}), "fields.api_key"),
        (json!({"api_key": "x".repeat(5_000)}), "fields.api_key"),
        (json!({"api_keys": "a"}), "did you mean `api_key`?"),
        (json!({"api_key": "a", CANARY: "b"}), "no field of that name"),
    ] {
        let reply =
            api.post("/v1/accounts").json(json!({"provider": "vultr", "fields": fields})).send().await;
        reply.is_problem(422, "invalid");
        assert!(reply.text.contains(field) && !reply.text.contains(CANARY), "{field}: {}", reply.text);
    }
    let unknown = api.get("/v1/providers/vulter").send().await;
    unknown.is_problem(404, "not_found");
    assert_eq!(unknown.json["hint"], "did you mean `vultr`?");
    let provider = api.get("/v1/providers/scaleway").send().await.json;
    assert_eq!(provider["credential"][0]["variable"], "SCALEWAY_API_KEY");
    let all = api.get("/v1/providers").send().await.json;
    assert_eq!(all["items"].as_array().map(Vec::len), Some(ProviderName::ALL.len()));
    assert_eq!(api.get("/v1/providers/equinix").send().await.json["ended"], "2026-06-30");
}

#[tokio::test]
async fn only_administrators_configure_and_only_the_daemons_user_lends_its_files() {
    let api = TestApi::start().await;
    door(&api, "vultr", &cloud(ProviderName::Vultr));
    api.context.clouds.put(&"aws".parse().expect("a name"), cloud(ProviderName::Aws));
    let as_role = |role| peer(4_000, Some(role));
    let vultr = json!({"provider": "vultr", "fields": {"api_key": CANARY}});
    let post = |body: &Value| api.post("/v1/accounts").json(body.clone());
    for role in [Role::Reader, Role::Operator] {
        post(&vultr).by(as_role(role)).send().await.is_problem(403, "role_too_low");
        let patch = api.patch("/v1/accounts/vultr").json(json!({})).header("if-match", "*");
        patch.by(as_role(role)).send().await.is_problem(403, "role_too_low");
        let delete = api.delete("/v1/accounts/vultr").header("if-match", "*");
        delete.by(as_role(role)).send().await.is_problem(403, "role_too_low");
    }
    assert_eq!(post(&vultr).by(as_role(Role::Admin)).send().await.status, 201);

    let profile = json!({"provider": "aws", "fields": {"region": "us-east-1", "profile": "work"}});
    post(&profile).by(as_role(Role::Admin)).send().await.is_problem(403, "other_user");
    let own = post(&profile).send().await;
    assert_eq!(own.status, 201, "{}", own.text);
    assert_eq!(own.json["fields"], json!({"region": "us-east-1", "profile": "work"}));
    let prove = |role| api.post("/v1/accounts/vultr/prove").by(as_role(role));
    prove(Role::Reader).send().await.is_problem(403, "role_too_low");
    assert_eq!(prove(Role::Operator).send().await.json["state"], "proved");
}

#[tokio::test]
async fn a_refusal_met_by_any_call_shows_and_ends_with_the_next_success() {
    let api = TestApi::start().await;
    let linode = cloud(ProviderName::Linode);
    let name = testing::add(&api.context, "linode", linode.clone()).await;
    let state = async || api.get("/v1/accounts/linode").send().await.json;
    let mut events = api.context.store.subscribe();
    let mut told = async || loop {
        let event = events.recv().await.expect("an event");
        if event.kind == EventKind::AccountChanged {
            return event.data["state"].clone();
        }
    };

    let client = accounts::client(&api.context, &name).await.expect("a client");
    linode.fail("instances", linode.unavailable());
    client.instances().await.expect_err("an outage");
    assert_eq!(state().await["state"], "unknown", "an outage says nothing of the credential");
    linode.fail("stop", linode.unauthorised());
    let server = InstanceRef { id: "1".to_owned(), place: String::new() };
    client.stop(&server, false).await.expect_err("a refusal");
    let refused = state().await;
    assert_eq!((&refused["state"], &refused["revision"]), (&json!("refused"), &json!(1)));
    assert!(refused["reason"].as_str().is_some_and(|reason| reason.contains("invalid token")));
    assert_eq!(told().await, "refused");
    linode.fail("check_credential", linode.unauthorised());
    let proof = api.post("/v1/accounts/linode/prove").send().await;
    assert_eq!((proof.status, &proof.json["state"]), (200, &json!("refused")));
    let proof = api.post("/v1/accounts/linode/prove").send().await;
    assert_eq!((&proof.json["state"], &proof.json["reason"]), (&json!("proved"), &json!("")));
    assert_eq!(told().await, "proved");
    linode.fail("check_credential", linode.unavailable());
    api.post("/v1/accounts/linode/prove").send().await.is_problem(502, "unavailable");
    assert_eq!(state().await["state"], "proved");
}

#[tokio::test]
async fn an_account_with_servers_stays() {
    let api = TestApi::start().await;
    let name = testing::add(&api.context, "hetzner", cloud(ProviderName::Hetzner)).await;
    let xnode = api.add_xnode("web-1").await;
    let mut reader = api.context.store.reader().await.expect("a reader");
    let mut stored = xnodes::find(&mut reader, xnode.id).await.expect("a row").expect("an xNode");
    stored.xnode.placement = Some(Placement {
        account: name,
        instance: InstanceRef { id: "4711".to_owned(), place: String::new() },
        plan: "cx22".to_owned(),
        template: None,
        expiry: None,
    });
    let place = api.context.store.write::<_, StoreError>(Lane::Normal, move |tx| {
        Box::pin(async move { xnodes::update(tx, &stored).await })
    });
    assert!(place.await.expect("a store"));
    assert_eq!(api.get("/v1/accounts/HETZNER").send().await.json["xnodes"], 1);
    let delete = || api.delete("/v1/accounts/hetzner").header("if-match", "*");
    let refused = delete().send().await;
    refused.is_problem(409, "wrong_state");
    assert!(refused.text.contains("1 xnode is billed to it"), "{}", refused.text);
    assert_eq!(api.delete("/v1/xnodes/web-1").header("if-match", "*").send().await.status, 204);
    assert_eq!(delete().send().await.status, 204);
    let gone = api.get("/v1/accounts/hetzner").send().await;
    gone.is_problem(404, "not_found");
}

#[tokio::test]
async fn a_refused_credential_is_one_alert_until_it_works_again() {
    let api = TestApi::start().await;
    let (vultr, linode) = (cloud(ProviderName::Vultr), cloud(ProviderName::Linode));
    let work = door(&api, "work", &vultr);
    let body = json!({"name": "work", "provider": "vultr", "fields": {"api_key": CANARY}});
    assert_eq!(api.post("/v1/accounts").json(body).send().await.status, 201);
    testing::add(&api.context, "linode", linode.clone()).await;
    let open = async || api.get("/v1/alerts").send().await.json["items"].as_array().cloned().expect("a list");
    let client = async || accounts::client(&api.context, &work).await.expect("a client");
    let server = InstanceRef { id: "1".to_owned(), place: String::new() };

    for method in ["instances", "delete", "leftovers", "catalogue"] {
        vultr.fail_always(method, vultr.unauthorised());
    }
    client().await.delete(&server).await.expect_err("refused");
    client().await.leftovers(&server).await.expect_err("refused");
    client().await.catalogue().await.expect_err("refused");
    api.get("/v1/providers/vultr/instances").send().await;
    let alerts = open().await;
    assert_eq!(alerts.len(), 1, "however many calls meet it: {alerts:?}");
    assert_eq!(alerts[0]["kind"], "credential_refused");
    assert_eq!(alerts[0]["subject"], json!({"kind": "account", "id": "work"}));
    assert!(
        alerts[0]["summary"].as_str().is_some_and(|text| text.starts_with("vultr refused")),
        "{alerts:?}"
    );
    let others = api.get("/v1/providers/linode/instances").send().await;
    assert_eq!((others.status, others.json["failures"].as_array().map_or(0, Vec::len)), (200, 0));

    vultr.recover();
    client().await.catalogue().await.expect("what anybody is told");
    assert_eq!(open().await.len(), 1, "what is for sale proves nothing");
    client().await.instances().await.expect("accepted");
    assert!(open().await.is_empty(), "it works again");

    let refused = async || {
        vultr.fail("instances", vultr.unauthorised());
        client().await.instances().await.expect_err("refused");
        assert_eq!(open().await.len(), 1);
    };
    refused().await;
    let patch = api.patch("/v1/accounts/work").json(json!({"fields": {"api_key": ROTATED}}));
    assert_eq!(patch.header("if-match", "*").send().await.status, 200);
    assert!(open().await.is_empty(), "another credential works");
    refused().await;
    assert_eq!(api.delete("/v1/accounts/work").header("if-match", "*").send().await.status, 204);
    assert!(open().await.is_empty(), "nobody can do anything about an account that is gone");
}

#[tokio::test]
async fn an_account_stays_while_a_deployment_there_has_not_ended() {
    let api = TestApi::start().await;
    let name = testing::add(&api.context, "hetzner", cloud(ProviderName::Hetzner)).await;
    let offer = json!({
        "account": name, "provider": "hetzner", "plan": "cx22", "region": "nbg1", "arch": "x86_64",
        "bare_metal": false, "hourly_cost_micros": 6_000,
        "price": {"hourly_micros": 6_000, "monthly_micros": 4_000_000, "currency": "EUR"}
    });
    let wanted = deployments::Wanted {
        name: "web".parse().expect("a name"),
        count: 1,
        confirmed: false,
        spec: ServerSpec::default(),
        user_data: None,
        offers: vec![serde_json::from_value(offer).expect("an offer")],
    };
    deployments::begin(&api.context, &Caller::daemon(), wanted).await.expect("begun");
    let refused = api.delete("/v1/accounts/hetzner").header("if-match", "*").send().await;
    refused.is_problem(409, "wrong_state");
    let detail = refused.json["detail"].as_str().expect("a detail");
    assert_eq!(detail, "account hetzner cannot be removed: the deployment of `web` there has not ended");
    assert_eq!(refused.json["hint"], "`capsulectl deployments web` says how far it is");
    assert_eq!(api.get("/v1/accounts/hetzner").send().await.status, 200, "nothing was changed");
}

#[tokio::test]
async fn one_account_that_fails_hides_nothing_of_the_others() {
    let api = TestApi::start().await;
    let (home, work) = (cloud(ProviderName::Vultr), cloud(ProviderName::Vultr));
    testing::add(&api.context, "home", home.clone()).await;
    testing::add(&api.context, "work", work.clone()).await;
    home.put_instance(instance(ProviderName::Vultr, "1"));
    work.put_instance(instance(ProviderName::Vultr, "2"));
    let list = async |query: &str| api.get(&format!("/v1/providers/vultr/instances{query}")).send().await;

    let both = list("").await.json;
    assert_eq!((&both["items"][0]["account"], &both["items"][1]["id"]), (&json!("home"), &json!("2")));
    assert_eq!(list("?account=work").await.json["items"].as_array().map(Vec::len), Some(1));
    list("?account=wrok").await.is_problem(404, "not_found");
    api.get("/v1/providers/linode/instances").send().await.is_problem(404, "not_found");

    work.fail_always("instances", work.unauthorised());
    let one = list("").await.json;
    assert_eq!(one["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&one["failures"][0]["account"], &one["failures"][0]["code"]),
        (&json!("work"), &json!("unauthorised"))
    );
    assert_eq!(api.get("/v1/accounts/work").send().await.json["state"], "refused");
    assert_eq!(api.get("/v1/accounts/home").send().await.json["state"], "proved");

    let path = "/v1/providers/vultr/instances/1";
    let mine = api.get(path).send().await.json;
    assert_eq!((&mine["name"], &mine["metadata"]["user_data"]), (&json!("web-1"), &json!("s3cret")));
    for path in [path, "/v1/providers/vultr/instances"] {
        let seen = api.get(path).by(peer(4_000, Some(Role::Reader))).send().await;
        assert!(seen.status == 200 && !seen.text.contains("s3cret"), "{path}: {}", seen.text);
    }
    api.get("/v1/providers/vultr/instances/3?account=home").send().await.is_problem(404, "not_found");
    api.get("/v1/providers/vultr/instances/2").send().await.is_problem(502, "unauthorised");
}

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_secret_goes_in_and_never_comes_out() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    // With only one subscriber alive, other tests' threads decide for good that nobody listens.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let api = TestApi::start().await;
    let mut events = api.context.store.subscribe();
    let vultr = cloud(ProviderName::Vultr);
    door(&api, "vultr", &vultr);
    let mut seen = String::new();
    let mut note = |reply: Reply| seen.push_str(&reply.text);
    let body = json!({"provider": "vultr", "fields": {"api_key": CANARY}});
    let post = || api.post("/v1/accounts").json(body.clone()).header("idempotency-key", "once");
    note(post().send().await);
    note(post().send().await);
    let patch = |fields: Value| {
        api.patch("/v1/accounts/vultr").json(json!({"fields": fields})).header("if-match", "*")
    };
    note(patch(json!({"api_key": ROTATED})).send().await);
    note(patch(json!({"api_key": [CANARY]})).send().await);
    note(patch(json!({CANARY: "x"})).send().await);
    note(patch(json!({"api_key": format!("{CANARY}\n")})).send().await);
    vultr.fail("instances", vultr.unauthorised());
    for path in ["/v1/providers", "/v1/providers/vultr/instances", "/v1/accounts", "/v1/audit", "/v1/tasks"] {
        note(api.get(path).send().await);
    }
    while let Ok(event) = events.try_recv() {
        seen.push_str(&serde_json::to_string(&*event).expect("JSON"));
    }
    assert!(seen.contains("account_changed") && seen.contains("create_account"), "{seen}");
    let logged = String::from_utf8(log.0.lock().expect("whole").clone()).expect("text");
    assert!(logged.contains("/v1/accounts"), "the log was read");
    let mut files = 0;
    for file in std::fs::read_dir(&*api.context.state_dir).expect("the state directory").flatten() {
        if file.file_type().expect("a type").is_file() {
            files += 1;
            seen.push_str(&String::from_utf8_lossy(&std::fs::read(file.path()).expect("readable")));
        }
    }
    assert!(2 <= files, "the databases were read");
    for canary in [CANARY, ROTATED] {
        assert!(!logged.contains(canary), "in the log");
        assert!(!seen.contains(canary), "in an answer, an event or the database");
    }
}
