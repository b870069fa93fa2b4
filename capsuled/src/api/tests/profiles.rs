//! Profiles and stacks as two people on one daemon meet them.

use capsule_api::Role;
use serde_json::{Value, json};

use crate::api::testing::{Reply, TestApi, peer};

const STACKS: &str = "stacks:
  - id: data
    title: Data
    category: Own
    requires: [lake]
    packages: [duckdb]
  - id: lake
    title: Lake
    category: Own
    packages: [minio]
";

async fn patch(api: &TestApi, name: &str, body: Value) -> Reply {
    api.patch(&format!("/v1/profiles/{name}")).header("if-match", "*").json(body).send().await
}

async fn stacks_of(api: &TestApi, name: &str) -> Vec<String> {
    let profile = api.get(&format!("/v1/profiles/{name}")).send().await.json;
    let stacks = profile["selection"]["stacks"].as_array().expect("a selection").clone();
    stacks.iter().map(|stack| stack["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn the_first_change_to_a_built_in_profile_is_a_copy_of_ones_own() {
    let api = TestApi::start().await;
    let built_in = api.get("/v1/active-profile").send().await;
    assert_eq!((&built_in.json["name"], built_in.header("etag")), (&json!("minimal"), "\"0\""));
    let diff = api.get("/v1/profiles/minimal/diff").send().await;
    assert_eq!((diff.status, &diff.json["to"]), (200, &json!("minimal@0")), "{}", diff.text);
    let used = api.put("/v1/active-profile").json(json!({"name": "dev"})).send().await;
    assert_eq!((used.status, &used.json["built_in"]), (200, &json!(true)), "{}", used.text);

    let added = patch(&api, "dev", json!({"add_stacks": ["machine-learning", "ollama"]})).await;
    assert_eq!((added.status, &added.json["copied"]), (200, &json!(true)), "{}", added.text);
    assert_eq!(added.json["profile"]["revision"], 2);
    assert_eq!(api.get("/v1/active-profile").send().await.json["built_in"], false);
    let versions = api.get("/v1/profiles/dev/versions").send().await.json;
    assert_eq!(versions["items"][0]["change"], "add machine-learning ollama");
    assert_eq!(versions["items"][1]["revision"], 1);

    let again = patch(&api, "dev", json!({"add_stacks": ["ollama"]})).await.json;
    assert_eq!((&again["changed"], &again["profile"]["revision"]), (&json!(false), &json!(2)));
    let diff = api.get("/v1/profiles/dev/diff").send().await.json;
    assert_eq!(diff["stacks"]["added"], json!(["machine-learning", "ollama"]), "{diff}");
    assert!(diff["python"]["added"].as_array().expect("a list").contains(&json!("numpy")), "{diff}");

    let stale = api.patch("/v1/profiles/dev").header("if-match", "\"1\"").json(json!({"reset": true}));
    stale.send().await.is_problem(412, "stale");
    assert_eq!(patch(&api, "dev", json!({"reset": true})).await.json["profile"]["revision"], 3);
    assert!(!stacks_of(&api, "dev").await.contains(&"ollama".to_owned()));
    let to_first = api.get("/v1/profiles/dev/diff?from=1").send().await.json;
    assert_eq!(to_first["stacks"], json!({"added": [], "removed": []}));

    // The built-in one comes back, so the active one may go.
    assert_eq!(api.delete("/v1/profiles/dev").header("if-match", "*").send().await.status, 204);
    assert_eq!(api.get("/v1/active-profile").send().await.json["built_in"], true);
    api.delete("/v1/profiles/dev").header("if-match", "*").send().await.is_problem(409, "wrong_state");
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_way_out_and_changes_nothing() {
    let api = TestApi::start().await;
    let new = api.post("/v1/profiles").json(json!({"name": "work", "copy_from": "ml"})).send().await;
    assert_eq!((new.status, new.header("location")), (201, "/v1/profiles/work"), "{}", new.text);
    for (body, status, code, hint) in [
        (json!({"add_stacks": ["dokcer"]}), 404, "not_found", Some("did you mean `docker`?")),
        (json!({"add_stacks": ["docker", "nonsense"]}), 404, "not_found", None),
        (json!({"remove_stacks": ["python"]}), 409, "wrong_state", Some("machine-learning")),
        (json!({"remove_stacks": ["base"]}), 409, "wrong_state", None),
        (json!({"remove_stacks": ["docker"]}), 404, "not_found", None),
        (json!({"add_packages": ["fd", "a b"]}), 422, "invalid", None),
        (json!({"add_packages": ["rec"]}), 422, "invalid", None),
        (json!({"add_packages": ["python3-numpy"]}), 422, "invalid", Some("python3Packages.numpy")),
        (json!({"remove_packages": ["ollama"]}), 409, "wrong_state", Some("remove the stack `ollama`")),
        (json!({"document": "stakcs: [docker]"}), 422, "invalid", Some("did you mean `stacks`?")),
        (json!({"document": "stacks: [dockr]"}), 422, "invalid", Some("did you mean `docker`?")),
        (json!({"document": "x".repeat(300 << 10)}), 422, "invalid", None),
    ] {
        let refused = patch(&api, "work", body.clone()).await;
        refused.is_problem(status, code);
        let said = refused.json["hint"].as_str().unwrap_or_default();
        assert!(hint.is_none_or(|hint| said.contains(hint)), "{body}: {}", refused.text);
    }
    assert_eq!(api.get("/v1/profiles/work").send().await.json["revision"], 1);
    let doubted = patch(&api, "work", json!({"add_packages": ["tmuxx"]})).await.json;
    assert_eq!(doubted["doubts"], json!([{"given": "tmuxx", "nearest": "tmux"}]));

    for (body, status, code) in [
        (json!({"name": "work"}), 409, "name_taken"),
        (json!({"name": "WORK"}), 409, "name_taken"),
        (json!({"name": "dev"}), 409, "name_taken"),
        (json!({"name": "dev", "copy_from": "prod"}), 409, "name_taken"),
        (json!({"name": "x", "copy_from": "porx"}), 404, "not_found"),
        (json!({"name": "../x"}), 422, "unfit_body"),
    ] {
        api.post("/v1/profiles").json(body).send().await.is_problem(status, code);
    }
    api.put("/v1/active-profile").json(json!({"name": "wrok"})).send().await.is_problem(404, "not_found");
    api.put("/v1/active-profile").json(json!({"name": "Work"})).send().await;
    let active = api.delete("/v1/profiles/work").header("if-match", "*").send().await;
    active.is_problem(409, "wrong_state");
    api.get("/v1/profiles/work/diff?from=77").send().await.is_problem(404, "not_found");
    api.get("/v1/profiles/work/diff?from=1&other=dev").send().await.is_problem(422, "invalid");
}

#[tokio::test]
async fn profiles_and_stacks_belong_to_who_asks() {
    let api = TestApi::start().await;
    let (ann, bob) = (|| peer(4_001, Some(Role::Operator)), || peer(4_002, Some(Role::Admin)));
    let add = api.post("/v1/stacks").json(json!({"document": STACKS})).by(ann()).send().await;
    assert_eq!(add.status, 201, "{}", add.text);
    let new = json!({"name": "secret-plan", "copy_from": "dev"});
    assert_eq!(api.post("/v1/profiles").json(new).by(ann()).send().await.status, 201);
    let both = json!({"add_stacks": ["data"], "add_packages": ["hidden-name"]});
    let changed =
        api.patch("/v1/profiles/secret-plan").header("if-match", "*").json(both).by(ann()).send().await;
    assert_eq!(changed.json["along"], json!(["lake"]), "{}", changed.text);
    api.put("/v1/active-profile").json(json!({"name": "secret-plan"})).by(ann()).send().await;

    assert_eq!(api.get("/v1/active-profile").by(ann()).send().await.json["name"], "secret-plan");
    assert_eq!(api.get("/v1/active-profile").by(bob()).send().await.json["name"], "minimal");
    for path in ["/v1/profiles/secret-plan", "/v1/stacks/data"] {
        api.get(path).by(bob()).send().await.is_problem(404, "not_found");
        assert_eq!(api.get(path).by(ann()).send().await.status, 200, "{path}");
    }
    let reader = || peer(4_001, Some(Role::Reader));
    assert_eq!(api.get("/v1/active-profile").by(reader()).send().await.json["name"], "secret-plan");
    let refused = api.put("/v1/active-profile").json(json!({"name": "dev"})).by(reader()).send().await;
    refused.is_problem(403, "role_too_low");
    let audit = api.get("/v1/audit").by(bob()).send().await;
    assert!(audit.text.contains("update_profile") && !audit.text.contains("hidden-name"), "{}", audit.text);
}

#[tokio::test]
async fn own_stacks_are_checked_together_and_kept_while_needed() {
    let api = TestApi::start().await;
    let add = async |document: &str, replace: bool| {
        let body = json!({"document": document, "file": "mine.yaml", "replace": replace});
        api.post("/v1/stacks").json(body).send().await
    };
    for (bad, said) in [
        ("stacks:\n  - id: x\n    title: X\n    category: C\n    pakages: [a]\n", "mine.yaml:5"),
        ("stacks:\n  - {id: x, title: X, category: C, requires: [dokcer]}\n", "`dokcer`"),
        ("stacks:\n  - {id: x, title: X, category: C, requires: [x]}\n", "circle"),
        ("stacks:\n  - {id: x, title: X, category: C, packages: [a b]}\n", "cannot be a package"),
        ("stacks:\n  - {id: docker, title: X, category: C}\n", "already"),
        ("nonsense", "mine.yaml"),
    ] {
        let refused = add(bad, false).await;
        refused.is_problem(422, "invalid");
        assert!(refused.text.contains(said), "{bad}: {}", refused.text);
    }
    assert_eq!(add(STACKS, false).await.status, 201);
    add(STACKS, false).await.is_problem(409, "name_taken");
    let lake = "stacks:\n  - {id: lake, title: Lake, category: Own, packages: [garage]}\n";
    assert_eq!(add(lake, true).await.status, 201);
    let circle = "stacks:\n  - {id: lake, title: Lake, category: Own, requires: [data]}\n";
    add(circle, true).await.is_problem(422, "invalid");
    assert_eq!(api.get("/v1/stacks/lake").send().await.json["packages"], json!(["garage"]));

    assert_eq!(patch(&api, "minimal", json!({"add_stacks": ["data"]})).await.status, 200);
    assert_eq!(stacks_of(&api, "minimal").await, ["base", "lake", "data"]);
    let preview = api.get("/v1/profiles/minimal/preview").send().await.json;
    let expression = preview["expression"].as_str().expect("text");
    assert!(expression.contains("garage") && expression.contains("capsule-profile"), "{expression}");
    for (id, by) in [("lake", "stack `data`"), ("data", "profile `minimal`")] {
        let refused = api.delete(&format!("/v1/stacks/{id}")).send().await;
        refused.is_problem(409, "wrong_state");
        assert!(refused.text.contains(by), "{}", refused.text);
    }
    api.delete("/v1/stacks/docker").send().await.is_problem(409, "wrong_state");
    api.delete("/v1/stacks/none").send().await.is_problem(404, "not_found");
    patch(&api, "minimal", json!({"reset": true})).await;
    for id in ["data", "lake"] {
        assert_eq!(api.delete(&format!("/v1/stacks/{id}")).send().await.status, 204);
    }
    // A version that names a stack that is gone cannot be compared, and says so.
    api.get("/v1/profiles/minimal/diff?from=2").send().await.is_problem(404, "not_found");
}
