//! The fake clouds against the vendors' own documents: every call that a client of ours makes, in the order of a
//! server's life, and every kind of refusal. Requests and answers alike must be what the document says.
//!
//! The documents are beside the repository, in `$CAPSULE_PROVIDER_SPECS`; a clone without them says so and passes.
//! Hetzner's is not among them and comes from an npm package.

mod document;

use capsule_tests::cloud::{FakeCloud, Pace, Vendor};
use document::{Document, all_must_run, differences, hetzner as hetzner_document, not_run, specs};
use reqwest::{Client, Method};
use serde_json::{Value, json};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICd8ZxAm9mXQsRHhQ5iADEJuO ada@example";

/// A client that holds every exchange against the document.
struct Judge {
    cloud: FakeCloud,
    document: Document,
    client: Client,
    credential: (&'static str, &'static str),
    faults: Vec<String>,
}

impl Judge {
    /// `None` and a line when the document is not there.
    async fn of(vendor: Vendor, credential: (&'static str, &'static str)) -> Option<Self> {
        let name = vendor.name();
        let Some(folder) = specs() else {
            not_run(&format!("the fake {name} against its contract: CAPSULE_PROVIDER_SPECS is not set"));
            return None;
        };
        let path = match vendor {
            Vendor::Hetzner => hetzner_document(),
            _ => Ok(folder.join(format!("{name}.json"))),
        };
        let path = match path {
            Ok(path) => path,
            Err(reason) => {
                assert!(!all_must_run(), "no document of {name}: {reason}");
                not_run(&format!("the fake {name} against its contract: {reason}"));
                return None;
            }
        };
        let (cloud, client) = (FakeCloud::start(vendor).await, Client::new());
        Some(Self { cloud, document: Document::read(&path), client, credential, faults: Vec::new() })
    }

    async fn ask(
        &mut self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        let method_ = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.client.request(method_, format!("{}{path}", self.cloud.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.expect("a whole answer");
        let bare = path.split('?').next().unwrap_or_default();
        self.faults.extend(self.document.faults(method, bare, body.as_ref(), status, &bytes));
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// A call that must be answered with `wanted`.
    async fn call(&mut self, method: &str, path: &str, body: impl Into<Option<Value>>, wanted: u16) -> Value {
        let credential = self.credential;
        let (status, answer) = self.ask(method, path, body.into(), &[credential]).await;
        assert_eq!(status, wanted, "{method} {path}: {answer}");
        answer
    }

    async fn get(&mut self, path: &str) -> Value {
        self.call("GET", path, None, 200).await
    }

    /// Reads the path of an instance until `done`, as a client would that waits for it.
    async fn until(&mut self, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..20 {
            let answer = self.get(path).await;
            if done(&answer) {
                return answer;
            }
        }
        panic!("{path} never came to its state");
    }

    /// Reads until the instance is gone.
    async fn until_gone(&mut self, path: &str) {
        for _ in 0..20 {
            let credential = self.credential;
            if self.ask("GET", path, None, &[credential]).await.0 == 404 {
                return;
            }
        }
        panic!("{path} never went away");
    }

    /// What every vendor refuses: no credential, a storm, a failure, and creations that cannot be.
    async fn refusals(&mut self, list: &str, create: &str, body: &Value) {
        let (status, _) = self.ask("GET", list, None, &[]).await;
        assert_eq!(status, 401, "{list} without a credential");
        self.cloud.switches().storm(1, 429, Some(1));
        self.call("GET", list, None, 429).await;
        let before = self.cloud.creates();
        for switch in [
            |cloud: &FakeCloud, on| cloud.switches().out_of_stock(on),
            |cloud: &FakeCloud, on| cloud.switches().quota(on),
        ] {
            switch(&self.cloud, true);
            let credential = self.credential;
            let (status, answer) = self.ask("POST", create, Some(body.clone()), &[credential]).await;
            assert!((400..500).contains(&status), "{status}: {answer}");
            switch(&self.cloud, false);
        }
        assert_eq!(self.cloud.creates(), before, "a refused creation was carried out");
    }

    fn verdict(self) {
        assert!(self.faults.is_empty(), "{} faults:\n{}", self.faults.len(), self.faults.join("\n"));
        assert!(20 <= self.cloud.requests().len(), "the script asked for too little");
    }
}

fn number(value: &Value) -> String {
    value.as_u64().expect("a number").to_string()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn digitalocean() {
    let Some(mut judge) = Judge::of(Vendor::DigitalOcean, ("authorization", "Bearer t")).await else {
        return;
    };
    for path in [
        "/v2/account",
        "/v2/customers/my/balance",
        "/v2/sizes?per_page=200",
        "/v2/sizes?per_page=2&page=2",
        "/v2/regions?per_page=200",
        "/v2/images?type=distribution&per_page=200",
        "/v2/images/129211873",
    ] {
        judge.get(path).await;
    }
    let key =
        judge.call("POST", "/v2/account/keys", json!({"name": "capsule", "public_key": KEY}), 201).await;
    let (key_id, print) = (number(&key["ssh_key"]["id"]), text(&key["ssh_key"]["fingerprint"]));
    judge.call("POST", "/v2/account/keys", json!({"name": "again", "public_key": KEY}), 422).await;
    judge.get("/v2/account/keys?per_page=200").await;
    judge.get(&format!("/v2/account/keys/{key_id}")).await;
    let body = json!({"name": "x1", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64",
        "ssh_keys": [print], "user_data": "#cloud-config\n", "tags": ["capsule", "capsule-1"]});
    judge.refusals("/v2/droplets", "/v2/droplets", &body).await;
    judge
        .call("POST", "/v2/droplets", json!({"name": "x1", "region": "nyc3", "size": "s-0", "image": 1}), 422)
        .await;
    let made = judge.call("POST", "/v2/droplets", body, 202).await;
    let own = format!("/v2/droplets/{}", made["droplet"]["id"]);
    assert_eq!(made["droplet"]["networks"]["v4"], json!([]));
    judge.get(&format!("/v2/actions/{}", made["links"]["actions"][0]["id"])).await;
    let public = |body: &Value| {
        let all = body["droplet"]["networks"]["v4"].as_array().cloned().unwrap_or_default();
        all.iter().any(|one| one["type"] == "public")
    };
    judge.until(&own, |body| body["droplet"]["status"] == "active" && public(body)).await;
    let listed = judge.get("/v2/droplets?tag_name=capsule-1&per_page=200").await;
    assert_eq!(listed["droplets"].as_array().map(Vec::len), Some(1));
    for word in ["shutdown", "power_on", "reboot", "power_cycle", "power_off"] {
        let action = judge.call("POST", &format!("{own}/actions"), json!({"type": word}), 201).await;
        let path = format!("/v2/actions/{}", action["action"]["id"]);
        judge.until(&path, |body| body["action"]["status"] == "completed").await;
    }
    judge.get(&format!("{own}/actions")).await;
    judge.call("POST", "/v2/tags", json!({"name": "web"}), 201).await;
    let resource = json!({"resources": [{"resource_id": made["droplet"]["id"].to_string(), "resource_type": "droplet"}]});
    judge.call("POST", "/v2/tags/web/resources", resource.clone(), 204).await;
    judge.get("/v2/tags").await;
    judge.call("DELETE", "/v2/tags/web/resources", resource, 204).await;
    judge.call("DELETE", &own, None, 204).await;
    judge.until_gone(&own).await;
    judge.call("DELETE", &own, None, 404).await;
    judge.call("DELETE", &format!("/v2/account/keys/{key_id}"), None, 204).await;
    judge.verdict();
}

#[tokio::test]
async fn linode() {
    let Some(mut judge) = Judge::of(Vendor::Linode, ("authorization", "Bearer t")).await else { return };
    for path in [
        "/v4/profile",
        "/v4/account",
        "/v4/profile/sshkeys",
        "/v4/linode/types",
        "/v4/linode/types/g6-nanode-1",
        "/v4/images?page_size=500",
        "/v4/regions",
        "/v4/regions/us-east",
        "/v4/regions/availability",
        "/v4/tags",
    ] {
        judge.get(path).await;
    }
    judge.call("POST", "/v4/profile/sshkeys", json!({"label": "capsule", "ssh_key": KEY}), 200).await;
    let body = json!({"type": "g6-nanode-1", "region": "us-east", "image": "linode/debian12", "label": "capsule-1",
        "tags": ["capsule-1"], "authorized_keys": [KEY], "metadata": {"user_data": "I2Nsb3VkLWNvbmZpZwo="}});
    judge.refusals("/v4/linode/instances", "/v4/linode/instances", &body).await;
    let mut without = body.clone();
    without.as_object_mut().expect("an object").remove("authorized_keys");
    judge.call("POST", "/v4/linode/instances", without, 400).await;
    let made = judge.call("POST", "/v4/linode/instances", body.clone(), 200).await;
    let again = judge.call("POST", "/v4/linode/instances", body, 400).await;
    assert!(again.to_string().contains("Label must be unique"), "{again}");
    let own = format!("/v4/linode/instances/{}", made["id"]);
    let running = judge.until(&own, |body| body["status"] == "running").await;
    against_recorded(&mut judge, "linode/get-running.json", "", &running);
    judge.get(&format!("{own}/ips")).await;
    let filter = [judge.credential, ("x-filter", r#"{"label":"capsule-1"}"#)];
    let (_, found) = judge.ask("GET", "/v4/linode/instances?page_size=500", None, &filter).await;
    assert_eq!(found["results"], 1);
    let filter = [judge.credential, ("x-filter", r#"{"tags":"other"}"#)];
    let (_, found) = judge.ask("GET", "/v4/linode/instances?page_size=500", None, &filter).await;
    assert_eq!(found["results"], 0);
    judge.call("PUT", &own, json!({"tags": ["capsule-1", "web"]}), 200).await;
    for (word, state) in [("shutdown", "offline"), ("boot", "running"), ("reboot", "running")] {
        let body = (word != "shutdown").then(|| json!({}));
        judge.call("POST", &format!("{own}/{word}"), body, 200).await;
        judge.call("POST", &format!("{own}/{word}"), (word != "shutdown").then(|| json!({})), 400).await;
        judge.until(&own, |body| body["status"] == state).await;
    }
    judge.call("DELETE", &own, None, 200).await;
    judge.until_gone(&own).await;
    judge.verdict();
}

#[tokio::test]
async fn vultr() {
    let Some(mut judge) = Judge::of(Vendor::Vultr, ("authorization", "Bearer t")).await else { return };
    for path in [
        "/v2/account",
        "/v2/plans?per_page=500",
        "/v2/plans?per_page=2",
        "/v2/plans-metal",
        "/v2/regions",
        "/v2/regions/ewr/availability",
        "/v2/os?per_page=500",
        "/v2/ssh-keys",
    ] {
        judge.get(path).await;
    }
    let key = judge.call("POST", "/v2/ssh-keys", json!({"name": "capsule", "ssh_key": KEY}), 201).await;
    let key = text(&key["ssh_key"]["id"]);
    for (tree, plan, inner) in
        [("instances", "vc2-1c-1gb", "instance"), ("bare-metals", "vbm-4c-32gb", "bare_metal")]
    {
        let body = json!({"region": "ewr", "plan": plan, "os_id": 2284, "label": "capsule-1", "hostname": "x1",
            "sshkey_id": [key], "user_data": "I2Nsb3VkLWNvbmZpZwo=", "tags": ["capsule-1"]});
        let list = format!("/v2/{tree}");
        judge.refusals(&list, &list, &body).await;
        judge.call("POST", &list, json!({"region": "ewr", "plan": plan, "os_id": 1}), 400).await;
        let made = judge.call("POST", &list, body, 202).await;
        assert_eq!(made[inner]["main_ip"], "0.0.0.0");
        let own = format!("{list}/{}", text(&made[inner]["id"]));
        judge.call("DELETE", &own, None, 400).await;
        judge.until(&own, |body| body[inner]["main_ip"] != "0.0.0.0").await;
        let listed = judge.get(&format!("{list}?label=capsule-1&per_page=500")).await;
        assert_eq!(listed["meta"]["links"]["next"], "");
        judge.call("PATCH", &own, json!({"tags": ["capsule-1", "web"]}), 202).await;
        for word in ["halt", "start", "reboot"] {
            judge.call("POST", &format!("{own}/{word}"), None, 204).await;
            judge.get(&own).await;
            judge.get(&own).await;
        }
        judge.call("DELETE", &own, None, 204).await;
        judge.until_gone(&own).await;
    }
    judge.call("DELETE", &format!("/v2/ssh-keys/{key}"), None, 204).await;
    judge.verdict();
}

#[tokio::test]
async fn equinix() {
    let Some(mut judge) = Judge::of(Vendor::Equinix, ("x-auth-token", "t")).await else { return };
    let project = "/metal/v1/projects/4a4bce6b-d2ef-41f8-95cf-0e2f32996440";
    for path in [
        "/metal/v1/user",
        "/metal/v1/projects",
        project,
        "/metal/v1/plans",
        "/metal/v1/locations/metros",
        "/metal/v1/operating-systems",
        "/metal/v1/capacity/metros",
        "/metal/v1/ssh-keys",
    ] {
        judge.get(path).await;
    }
    judge.get(&format!("{project}/plans")).await;
    let wanted = json!({"servers": [{"metro": "da", "plan": "c3.small.x86", "quantity": "1"}]});
    judge.call("POST", "/metal/v1/capacity/metros", wanted, 200).await;
    let keys = format!("{project}/ssh-keys");
    let key = judge.call("POST", &keys, json!({"label": "capsule", "key": KEY}), 201).await;
    judge.call("POST", &keys, json!({"label": "capsule", "key": KEY}), 422).await;
    judge.get(&keys).await;
    let devices = format!("{project}/devices");
    let body = json!({"metro": "da", "plan": "c3.small.x86", "operating_system": "ubuntu_22_04", "hostname": "x1",
        "tags": ["capsule-1"], "userdata": "#cloud-config\n", "project_ssh_keys": [key["id"]]});
    judge.refusals(&devices, &devices, &body).await;
    let made = judge.call("POST", &devices, body, 201).await;
    let own = format!("/metal/v1/devices/{}", text(&made["id"]));
    let addressed = |body: &Value| body["ip_addresses"].as_array().is_some_and(|all| !all.is_empty());
    judge.until(&own, |body| body["state"] == "active" && addressed(body)).await;
    judge.get(&format!("{own}/ips")).await;
    judge.get(&format!("{devices}?per_page=250&tag=capsule-1")).await;
    judge.call("PUT", &own, json!({"tags": ["capsule-1", "web"]}), 200).await;
    for (word, state) in [("power_off", "inactive"), ("power_on", "active"), ("reboot", "active")] {
        judge.call("POST", &format!("{own}/actions"), json!({"type": word}), 202).await;
        judge.until(&own, |body| body["state"] == state).await;
    }
    judge.call("DELETE", &format!("{own}?force_delete=true"), None, 204).await;
    judge.until_gone(&own).await;
    judge.call("DELETE", &format!("/metal/v1/ssh-keys/{}", text(&key["id"])), None, 204).await;
    judge.verdict();
}

#[tokio::test]
async fn hivelocity() {
    let Some(mut judge) = Judge::of(Vendor::Hivelocity, ("x-api-key", "t")).await else { return };
    for path in [
        "/api/v2/profile/basic",
        "/api/v2/profile/",
        "/api/v2/inventory/locations",
        "/api/v2/inventory/product",
        "/api/v2/inventory/product/504",
        "/api/v2/product/504/operating-systems",
        "/api/v2/ssh_key/",
        "/api/v2/order/",
    ] {
        judge.get(path).await;
    }
    let key = judge.call("POST", "/api/v2/ssh_key/", json!({"name": "capsule", "publicKey": KEY}), 201).await;
    let body = json!({"hostname": "x1.example.net", "productId": 504, "osName": "Ubuntu 22.x", "locationName": "TPA1",
        "period": "hourly", "tags": ["capsule-1"], "publicSshKeyId": key["sshKeyId"], "script": "#cloud-config"});
    let list = "/api/v2/bare-metal-devices/";
    judge.refusals(list, list, &body).await;
    let made = judge.call("POST", list, body, 200).await;
    let (own, id) = (format!("{list}{}", made["deviceId"]), number(&made["deviceId"]));
    let device = format!("/api/v2/device/{id}");
    judge.until(&device, |body| body["spsStatus"] == "IN_USE" && body["primaryIp"] != "").await;
    for path in [
        own.clone(),
        list.to_owned(),
        "/api/v2/device/".to_owned(),
        format!("{device}/power"),
        format!("{device}/tags"),
        format!("{device}/ips"),
        "/api/v2/order/".to_owned(),
        format!("/api/v2/order/{}", made["orderId"]),
    ] {
        judge.get(&path).await;
    }
    judge.call("PUT", &format!("{device}/tags"), json!({"tags": ["capsule-1", "web"]}), 200).await;
    for (word, power) in [("shutdown", "OFF"), ("boot", "ON"), ("reboot", "ON")] {
        judge.call("POST", &format!("{device}/power?action={word}"), None, 202).await;
        judge.until(&format!("{device}/power"), |body| body["powerStatus"] == power).await;
    }
    judge.call("DELETE", &own, None, 201).await;
    judge.call("DELETE", &own, None, 409).await;
    judge.until_gone(&own).await;
    judge.call("DELETE", &own, None, 404).await;
    judge.call("DELETE", &format!("/api/v2/ssh_key/{}", key["sshKeyId"]), None, 200).await;
    judge.verdict();
}

#[tokio::test]
async fn scaleway() {
    let Some(mut judge) = Judge::of(Vendor::Scaleway, ("x-auth-token", "t")).await else { return };
    let (zone, project) = ("/instance/v1/zones/fr-par-1", "6867048b-fe12-4e96-835e-41c79a39604b");
    let key = judge.get("/iam/v1alpha1/api-keys/SCWXXXXXXXXXXXXXXXXX").await;
    against_recorded(&mut judge, "scaleway/iam-api-key-get.json", "", &key);
    judge.call("GET", "/iam/v1alpha1/api-keys/SCWNARROW", None, 403).await;
    judge.get("/account/v3/projects").await;
    let products = judge.get(&format!("{zone}/products/servers?per_page=100")).await;
    against_recorded(
        &mut judge,
        "scaleway/products-servers-some.json",
        "/servers/DEV1-S",
        &products["servers"]["DEV1-S"],
    );
    judge.get(&format!("{zone}/products/servers/availability?per_page=100")).await;
    let images = judge
        .get("/marketplace/v2/local-images?image_label=ubuntu_noble&zone=fr-par-1&type=instance_sbs")
        .await;
    against_recorded(&mut judge, "scaleway/marketplace-local-images.json", "", &images);
    let fitting =
        images["local_images"].as_array().expect("images").iter().find(|image| image["arch"] == "x86_64");
    let image = fitting.expect("an image")["id"].clone();
    judge.get(&format!("{zone}/images/{}", text(&image))).await;
    judge.get(&format!("{zone}/images?arch=x86_64")).await;
    let new = json!({"name": "capsule", "public_key": KEY, "project_id": project});
    let key = judge.call("POST", "/iam/v1alpha1/ssh-keys", new, 200).await;
    let keys = judge.get("/iam/v1alpha1/ssh-keys?page_size=100").await;
    against_recorded(&mut judge, "scaleway/iam-sshkey-list.json", "", &keys);
    let servers = format!("{zone}/servers");
    let body = json!({"name": "x1", "commercial_type": "DEV1-S", "image": image, "project": project,
        "dynamic_ip_required": true, "tags": ["capsule-1"]});
    judge.refusals(&servers, &servers, &body).await;
    let bad = judge.call("POST", &servers, json!({"name": "x1", "project": project}), 400).await;
    assert_eq!(bad["type"], "invalid_arguments");
    let made = judge.call("POST", &servers, body, 201).await;
    against_recorded(&mut judge, "scaleway/create.json", "", &made);
    assert_eq!(made["server"]["state"], "stopped");
    let own = format!("{servers}/{}", text(&made["server"]["id"]));
    let disk = text(&made["server"]["volumes"]["0"]["id"]);
    let url = format!("{}{own}/user_data/cloud-init", judge.cloud.url());
    let sent = judge.client.patch(url).header("x-auth-token", "t").body("#cloud-config\n").send().await;
    assert_eq!(sent.expect("an answer").status(), 204);
    judge.get(&format!("{own}/user_data")).await;
    let task = judge.call("POST", &format!("{own}/action"), json!({"action": "poweron"}), 202).await;
    against_recorded(&mut judge, "scaleway/action-poweron.json", "", &task);
    judge.call("POST", &format!("{own}/action"), json!({"action": "poweron"}), 400).await;
    let running = judge
        .until(&own, |body| body["server"]["state"] == "running" && !body["server"]["public_ip"].is_null())
        .await;
    against_recorded(&mut judge, "scaleway/get-running.json", "", &running);
    assert_eq!(judge.cloud.instances()[0].ssh_keys, [KEY]);
    judge.get(&format!("{servers}?per_page=100&tags=capsule-1")).await;
    judge.get(&format!("{own}/action")).await;
    judge.call("PATCH", &own, json!({"tags": ["capsule-1", "web"]}), 200).await;
    let address = judge.call("POST", &format!("{zone}/ips"), json!({"project": project}), 201).await;
    judge.get(&format!("{zone}/ips?per_page=100")).await;
    judge.call("DELETE", &format!("{zone}/ips/{}", text(&address["ip"]["id"])), None, 204).await;
    judge.get(&format!("{zone}/volumes")).await;
    for (word, state) in [
        ("reboot", "running"),
        ("stop_in_place", "stopped in place"),
        ("poweron", "running"),
        ("poweroff", "stopped"),
    ] {
        judge.call("POST", &format!("{own}/action"), json!({"action": word}), 202).await;
        let idle =
            |body: &Value| body["server"]["allowed_actions"].as_array().is_some_and(|all| !all.is_empty());
        judge.until(&own, |body| body["server"]["state"] == state && idle(body)).await;
    }
    let block = format!("/block/v1/zones/fr-par-1/volumes/{disk}");
    let volume = judge.get(&block).await;
    against_recorded(&mut judge, "scaleway/block-volume-get.json", "", &volume);
    judge.call("DELETE", &block, None, 400).await;
    judge.call("DELETE", &own, None, 204).await;
    judge.until_gone(&own).await;
    judge.get("/block/v1/zones/fr-par-1/volumes?page_size=100").await;
    judge.call("DELETE", &block, None, 204).await;
    judge.call("DELETE", &format!("/iam/v1alpha1/ssh-keys/{}", text(&key["id"])), None, 204).await;
    judge.verdict();
}

#[tokio::test]
async fn hetzner() {
    let Some(mut judge) = Judge::of(Vendor::Hetzner, ("authorization", "Bearer t")).await else {
        return;
    };
    for path in [
        "/v1/server_types",
        "/v1/server_types?per_page=2&page=2",
        "/v1/server_types/100",
        "/v1/locations",
        "/v1/datacenters",
        "/v1/datacenters/1",
        "/v1/pricing",
        "/v1/images?architecture=x86",
        "/v1/images/161547269",
    ] {
        judge.get(path).await;
    }
    let key = judge.call("POST", "/v1/ssh_keys", json!({"name": "capsule", "public_key": KEY}), 201).await;
    let key = number(&key["ssh_key"]["id"]);
    judge.get("/v1/ssh_keys?per_page=50").await;
    let body = json!({"name": "x1", "location": "fsn1", "server_type": "cx22", "image": "ubuntu-24.04",
        "ssh_keys": [key], "user_data": "#cloud-config\n", "labels": {"capsule": "1"}});
    judge.cloud.switches().pace(Pace { provisioning: 2, ..Pace::INSTANT });
    let made = judge.call("POST", "/v1/servers", body, 201).await;
    let own = format!("/v1/servers/{}", made["server"]["id"]);
    judge
        .until(&format!("/v1/actions/{}", made["action"]["id"]), |body| body["action"]["status"] == "success")
        .await;
    judge.until(&own, |body| body["server"]["status"] == "running").await;
    let found = judge.get("/v1/servers?label_selector=capsule%3D1&per_page=50").await;
    assert_eq!(found["meta"]["pagination"]["total_entries"], 1);
    let found = judge.get("/v1/servers?label_selector=capsule%3D2").await;
    assert_eq!(found["servers"], json!([]));
    judge.call("PUT", &own, json!({"labels": {"capsule": "1", "web": ""}}), 200).await;
    for (word, state) in [
        ("shutdown", "off"),
        ("poweron", "running"),
        ("reboot", "running"),
        ("reset", "running"),
        ("poweroff", "off"),
    ] {
        judge.call("POST", &format!("{own}/actions/{word}"), None, 201).await;
        judge.until(&own, |body| body["server"]["status"] == state).await;
    }
    judge.call("DELETE", &own, None, 200).await;
    // The document names no errors at all, so what is refused is not held against it.
    assert_eq!(judge.cloud.all_instances().len(), 1);
    judge.call("DELETE", &format!("/v1/ssh_keys/{key}"), None, 204).await;
    judge.verdict();
}

/// Adds what an answer of ours lacks, or has of another kind, beside a recorded one.
fn against_recorded(judge: &mut Judge, file: &str, part: &str, ours: &Value) {
    let path = specs().expect("a document was read").join("recorded").join(file);
    let recorded: Value = serde_json::from_slice(&std::fs::read(&path).expect("a recording")).expect("JSON");
    let real = recorded["response"]["body"].pointer(part).expect("a part of the recording");
    differences(real, ours, file, &mut judge.faults);
}
