//! Linode as its API version 4 speaks. Labels are unique in an account, times carry no offset, lists are
//! filtered by the header `X-Filter`, and changes answer `{}`.

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::Method;
use serde_json::{Value, json};

use super::{
    speech::{Answer, Refusal, Request, Speech, paged},
    switches::Settings,
    world::{FakeInstance, FakeKey, NewFake, Phase, Plan, World, plan},
};

const PLANS: &[Plan] = &[
    plan("g6-nanode-1", (1, 1024, 25, 1000), (0.0075, 5.0), 0),
    plan("g6-standard-1", (1, 2048, 50, 2000), (0.018, 12.0), 0),
    plan("g6-standard-2", (2, 4096, 80, 4000), (0.036, 24.0), 0),
    plan("g6-dedicated-2", (2, 4096, 80, 4000), (0.054, 36.0), 0),
    plan("g6-dedicated-4", (4, 8192, 160, 5000), (0.108, 72.0), 0),
    plan("g1-gpu-rtx6000-1", (8, 32_768, 640, 16_000), (1.5, 1000.0), 1),
];

const IMAGES: &[(&str, &str, &str)] = &[
    ("linode/ubuntu24.04", "Ubuntu 24.04 LTS", "Ubuntu"),
    ("linode/ubuntu22.04", "Ubuntu 22.04 LTS", "Ubuntu"),
    ("linode/debian12", "Debian 12", "Debian"),
    ("linode/debian13", "Debian 13", "Debian"),
];

pub(super) const SPEECH: Speech = Speech {
    plans: PLANS,
    places: &[
        ("us-east", "Newark, NJ", "us"),
        ("us-west", "Fremont, CA", "us"),
        ("us-central", "Dallas, TX", "us"),
        ("eu-west", "London, UK", "gb"),
        ("eu-central", "Frankfurt, DE", "de"),
        ("ap-south", "Singapore, SG", "sg"),
        ("ap-northeast", "Tokyo 2, JP", "jp"),
        ("ap-southeast", "Sydney, AU", "au"),
    ],
    image: "linode/ubuntu24.04",
    numeric_ids: true,
    credential: ("authorization", "Bearer "),
    is_public: |request| {
        request.method == Method::GET
            && matches!(request.parts()[..], [_, "regions", ..] | [_, "linode", "types", ..])
    },
    is_creation: |request| {
        request.method == Method::POST && matches!(request.parts()[..], [_, "linode", "instances"])
    },
    answer,
    refuse,
};

fn refuse(refusal: Refusal) -> Answer {
    let (status, reason) = match refusal {
        Refusal::Unauthorised => (401, "Invalid Token".to_owned()),
        Refusal::OutOfStock => {
            let text =
                "A plan with that type is not available in this region at this time. Please choose another.";
            (400, text.to_owned())
        }
        Refusal::Quota => {
            let text = "Account Limit reached. Please open a support ticket to request additional resources.";
            (400, text.to_owned())
        }
        Refusal::Failing(429) => (429, "Too many requests".to_owned()),
        Refusal::Failing(status) => (status, "Internal Server Error".to_owned()),
        Refusal::NotFound => (404, "Not found".to_owned()),
        Refusal::Invalid(message) | Refusal::Conflict(message) => (400, message),
    };
    Answer::json(status, &json!({"errors": [{"reason": reason}]}))
}

fn invalid(field: &str, reason: &str) -> Answer {
    Answer::json(400, &json!({"errors": [{"field": field, "reason": reason}]}))
}

fn answer(request: &Request, world: &mut World, settings: &mut Settings) -> Answer {
    let parts = request.parts();
    let Some((&("v4" | "v4beta"), path)) = parts.split_first() else { return refuse(Refusal::NotFound) };
    let answer = match (request.method.as_str(), path) {
        ("GET", ["profile"]) => Answer::ok(&profile()),
        ("GET", ["profile", "grants"]) => Answer::empty(204),
        ("GET", ["account"]) => Answer::ok(&account()),
        ("GET", ["linode", "types"]) => list(request, &types(world)),
        ("GET", ["linode", "types", id]) => one(types(world), id),
        ("GET", ["regions"]) => list(request, &regions()),
        ("GET", ["regions", "availability"]) => list(request, &availability(world)),
        ("GET", ["regions", id]) => one(regions(), id),
        ("GET", ["images"]) => list(request, &images()),
        ("GET", ["images", vendor, id]) => one(images(), &format!("{vendor}/{id}")),
        // The slash belongs to the id and may come escaped.
        ("GET", ["images", id]) => one(images(), &id.replace("%2F", "/").replace("%2f", "/")),
        ("GET", ["tags"]) => list(request, &tags(world)),
        ("GET" | "POST" | "DELETE", ["profile", "sshkeys", ..]) => keys(request, &path[2..], world),
        (_, ["linode", "instances", ..]) => instances(request, &path[2..], world, settings),
        _ => refuse(Refusal::NotFound),
    };
    answer.header("x-ratelimit-limit", 1840).header("x-ratelimit-remaining", 1839)
}

/// A time as Linode writes it: UTC without saying so.
fn bare(time: &str) -> String {
    time.trim_end_matches('Z').to_owned()
}

fn profile() -> Value {
    json!({"username": "exampleUser", "email": "example-user@example.org", "timezone": "US/Eastern",
        "email_notifications": true, "two_factor_auth": false, "restricted": false, "uid": 1234})
}

fn account() -> Value {
    json!({"email": "example-user@example.org", "first_name": "Ada", "last_name": "Lovelace", "balance": 0,
        "balance_uninvoiced": 145, "country": "US", "euuid": "E1AF5EEC-526F-487D-B317EBEB34C87D71",
        "active_since": "2018-01-01T00:01:01", "capabilities": ["Linodes", "Object Storage"]})
}

fn list(request: &Request, items: &[Value]) -> Answer {
    let (page, size) = (request.page("page_size", 100, 500).0, request.page("page_size", 100, 500).1.max(25));
    let (part, pages) = paged(items, (page, size));
    Answer::ok(&json!({"data": part, "page": page, "pages": pages, "results": items.len()}))
}

fn one(items: Vec<Value>, id: &str) -> Answer {
    match items.into_iter().find(|item| item["id"] == id) {
        Some(item) => Answer::ok(&item),
        None => refuse(Refusal::NotFound),
    }
}

fn types(world: &World) -> Vec<Value> {
    let render = |plan: &Plan| {
        let (hourly, monthly) = world.price(plan);
        let class = if plan.name.contains("nanode") {
            "nanode"
        } else if plan.name.contains("gpu") {
            "gpu"
        } else if plan.name.contains("dedicated") {
            "dedicated"
        } else {
            "standard"
        };
        let dearer = json!([{"id": "br-gru", "hourly": hourly * 1.4, "monthly": monthly * 1.4}]);
        let label = if plan.gpus == 0 { plan.name } else { "Dedicated 32GB + RTX6000 GPU x1" };
        json!({"id": plan.name, "label": label, "class": class, "disk": plan.disk_gb * 1024,
            "memory": plan.memory_mib, "vcpus": plan.vcpus, "gpus": plan.gpus, "network_out": 1000,
            "transfer": plan.transfer_gb, "successor": null, "price": {"hourly": hourly, "monthly": monthly},
            "region_prices": dearer,
            "addons": {"backups": {"price": {"hourly": 0.003, "monthly": 2.0}, "region_prices": []}}})
    };
    PLANS.iter().map(render).collect()
}

fn regions() -> Vec<Value> {
    let render = |&(id, label, country): &(&str, &str, &str)| {
        json!({"id": id, "label": label, "country": country, "status": "ok", "site_type": "core",
            "capabilities": ["Linodes", "Metadata", "GPU Linodes"],
            "resolvers": {"ipv4": "192.0.2.0,192.0.2.1", "ipv6": "2001:0db8::"}})
    };
    SPEECH.places.iter().map(render).collect()
}

fn availability(world: &World) -> Vec<Value> {
    let of = |place: &'static str| {
        PLANS
            .iter()
            .map(move |plan| json!({"region": place, "plan": plan.name, "available": world.sells(plan.name)}))
    };
    SPEECH.places.iter().flat_map(|place| of(place.0)).collect()
}

fn images() -> Vec<Value> {
    let render = |&(id, label, vendor): &(&str, &str, &str)| {
        json!({"id": id, "label": label, "vendor": vendor, "created": "2024-05-01T00:00:00", "created_by": "linode",
            "updated": "2024-05-01T00:00:00", "deprecated": false, "description": "", "eol": "2029-05-01T04:00:00",
            "expiry": null, "is_public": true, "size": 3500, "type": "manual", "status": "available",
            "capabilities": ["cloud-init"], "tags": [], "regions": [], "total_size": 3500})
    };
    IMAGES.iter().map(render).collect()
}

fn tags(world: &World) -> Vec<Value> {
    let mut names: Vec<&String> = world.instances.iter().flat_map(|own| &own.tags).collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|name| json!({"label": name})).collect()
}

fn key(key: &FakeKey) -> Value {
    json!({"id": key.id.parse::<u64>().unwrap_or_default(), "label": key.name, "ssh_key": key.text,
        "created": "2018-01-01T00:01:01"})
}

fn keys(request: &Request, rest: &[&str], world: &mut World) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", []) => list(request, &world.keys.iter().map(key).collect::<Vec<_>>()),
        ("POST", []) => match (request.text("label"), request.text("ssh_key")) {
            (Some(label), Some(text)) => Answer::ok(&key(&world.add_key(&label, &text))),
            _ => invalid("ssh_key", "SSH Key is invalid"),
        },
        ("GET", [id]) => world.key(id).map_or_else(|| refuse(Refusal::NotFound), |own| Answer::ok(&key(own))),
        ("DELETE", [id]) if world.remove_key(id) => Answer::ok(&json!({})),
        _ => refuse(Refusal::NotFound),
    }
}

/// Whether an instance passes the `X-Filter` header: every field given must be equal, a list must hold it.
fn passes(filter: &Value, instance: &FakeInstance) -> bool {
    let Some(fields) = filter.as_object() else { return true };
    fields.iter().all(|(field, wanted)| match field.as_str() {
        "label" => *wanted == json!(instance.name),
        "tags" => wanted.as_str().is_some_and(|tag| instance.has_tag(tag)),
        "region" => *wanted == json!(instance.place),
        "id" => wanted.as_u64() == instance.id.parse().ok(),
        "+and" => wanted.as_array().is_some_and(|all| all.iter().all(|one| passes(one, instance))),
        "+or" => wanted.as_array().is_some_and(|any| any.iter().any(|one| passes(one, instance))),
        // Ordering changes nothing about what is found.
        "+order" | "+order_by" => true,
        _ => false,
    })
}

fn instances(request: &Request, rest: &[&str], world: &mut World, settings: &mut Settings) -> Answer {
    let pace = settings.pace;
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let filter =
                request.headers.get("x-filter").and_then(|value| value.to_str().ok()).unwrap_or("{}");
            let Ok(filter) = serde_json::from_str::<Value>(filter) else {
                return refuse(Refusal::Invalid("Cannot parse json from X-Filter".to_owned()));
            };
            let found = world.list(|instance| passes(&filter, instance));
            list(request, &found.iter().map(linode).collect::<Vec<_>>())
        }
        ("POST", []) => create(request, world, settings),
        ("GET", [id]) => match world.look_at(id) {
            Some(instance) => Answer::ok(&linode(&instance)),
            None => refuse(Refusal::NotFound),
        },
        ("GET", [id, "ips"]) => match world.instance(id) {
            Some(instance) => Answer::ok(&ips(instance)),
            None => refuse(Refusal::NotFound),
        },
        ("PUT", [id]) => update(request, id, world),
        ("DELETE", [id]) if world.delete(id, pace.deletion) => Answer::ok(&json!({})),
        ("POST", [id, word @ ("boot" | "shutdown" | "reboot")]) => power(id, word, world, settings),
        _ => refuse(Refusal::NotFound),
    }
}

fn create(request: &Request, world: &mut World, settings: &mut Settings) -> Answer {
    let (plan, place) =
        (request.text("type").unwrap_or_default(), request.text("region").unwrap_or_default());
    let image = request.text("image").unwrap_or_default();
    if SPEECH.plan(&plan).is_none() {
        return invalid("type", "A valid plan type by that ID was not found");
    }
    if SPEECH.place(&place).is_none() {
        return invalid("region", "region is not valid");
    }
    if !image.is_empty() && !IMAGES.iter().any(|known| known.0 == image) {
        return invalid("image", "image is not valid");
    }
    let ssh_keys = request.texts("authorized_keys");
    let has_login =
        !ssh_keys.is_empty() || ["root_pass", "authorized_users"].iter().any(|f| !request.body[f].is_null());
    if !image.is_empty() && !has_login {
        let text = "Must provide valid root_pass, authorized_keys, or authorized_users";
        return refuse(Refusal::Invalid(text.to_owned()));
    }
    let encoded = request.body["metadata"]["user_data"].as_str();
    let decoded =
        encoded.map(|text| STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()));
    if decoded == Some(None) {
        return invalid("metadata.user_data", "Must be a valid base64 encoded string");
    }
    let name = request.text("label").unwrap_or_else(|| format!("linode{}", world.number()));
    if !is_label(&name) {
        return invalid("label", "Label must be between 3 and 64 characters");
    }
    if world.instances.iter().any(|own| own.exists() && own.name == name) {
        return invalid("label", "Label must be unique among your linodes");
    }
    if let Some(refused) = SPEECH.obstacle(&plan, world, settings) {
        return refused;
    }
    let (tags, user_data) = (request.texts("tags"), decoded.flatten());
    let new = NewFake { name, place, plan, image, tags, ssh_keys, user_data, bare_metal: false };
    let made = world.create(new, Phase::Running, settings);
    // An address is there from the start.
    made.address_shown = true;
    Answer::ok(&linode(made))
}

fn is_label(label: &str) -> bool {
    (3..=64).contains(&label.len())
        && label.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !["--", "__", ".."].iter().any(|pair| label.contains(pair))
        && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn linode(instance: &FakeInstance) -> Value {
    let status = match (instance.phase, instance.heading()) {
        (Phase::Provisioning, _) => "provisioning",
        (Phase::Running, None) => "running",
        (Phase::Running, Some(Phase::Stopped)) => "shutting_down",
        (Phase::Running, Some(_)) => "rebooting",
        (Phase::Stopped, None) => "offline",
        (Phase::Stopped, Some(_)) => "booting",
        (Phase::Failed, _) => "billing_suspension",
        (Phase::Deleting | Phase::Gone, _) => "deleting",
    };
    let plan = SPEECH.plan(&instance.plan).unwrap_or(&PLANS[0]);
    let created = bare(&instance.created);
    json!({"id": instance.id.parse::<u64>().unwrap_or_default(), "label": instance.name, "group": "",
        "status": status, "created": created, "updated": created, "type": instance.plan,
        "ipv4": [instance.address, "192.168.133.7"], "ipv6": "1234::5678/128", "image": instance.image,
        "region": instance.place, "site_type": "core",
        "specs": {"disk": plan.disk_gb * 1024, "memory": plan.memory_mib, "vcpus": plan.vcpus, "gpus": plan.gpus,
            "transfer": plan.transfer_gb, "accelerated_devices": 0},
        "alerts": {"cpu": 90, "network_in": 10, "network_out": 10, "transfer_quota": 80, "io": 10000,
            "system_alerts": [], "user_alerts": []},
        "backups": {"enabled": false, "available": false, "schedule": {"day": null, "window": null},
            "last_successful": null},
        "hypervisor": "kvm", "watchdog_enabled": true, "tags": instance.tags,
        "host_uuid": "288e63c85b047d1cb41106d47e6898933356966a", "has_user_data": instance.user_data.is_some(),
        "placement_group": null, "disk_encryption": "enabled", "lke_cluster_id": null,
        "capabilities": ["Block Storage Encryption", "Maintenance Policy"], "maintenance_policy": "linode/migrate",
        "interface_generation": "legacy_config", "locks": []})
}

fn ips(instance: &FakeInstance) -> Value {
    let public = json!({"address": instance.address, "gateway": "127.0.0.1", "prefix": 24, "public": true,
        "linode_id": instance.id.parse::<u64>().unwrap_or_default(), "region": instance.place, "rdns": null,
        "subnet_mask": "255.255.255.0", "type": "ipv4"});
    json!({"ipv4": {"public": [public], "private": [], "shared": [], "reserved": []}})
}

fn update(request: &Request, id: &str, world: &mut World) -> Answer {
    let label = request.text("label");
    let taken =
        |label: &String| world.instances.iter().any(|own| own.exists() && own.id != id && own.name == *label);
    if label.as_ref().is_some_and(taken) {
        return invalid("label", "Label must be unique among your linodes");
    }
    let Some(instance) = world.instance(id) else { return refuse(Refusal::NotFound) };
    if !request.body["tags"].is_null() {
        instance.tags = request.texts("tags");
    }
    if let Some(label) = label {
        instance.name = label;
    }
    Answer::ok(&linode(instance))
}

fn power(id: &str, word: &str, world: &mut World, settings: &Settings) -> Answer {
    let Some(instance) = world.instance(id) else { return refuse(Refusal::NotFound) };
    if instance.heading().is_some() {
        return refuse(Refusal::Conflict("Linode busy.".to_owned()));
    }
    if word == "boot" && instance.phase == Phase::Running {
        return refuse(Refusal::Conflict(format!("Linode {id} already booted.")));
    }
    let to = if word == "shutdown" { Phase::Stopped } else { Phase::Running };
    world.power(id, to, settings.pace.power);
    Answer::ok(&json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_carry_no_offset() {
        assert_eq!(bare("2018-01-02T03:04:05Z"), "2018-01-02T03:04:05");
    }

    #[test]
    fn labels_follow_the_vendors_rule() {
        for (label, valid) in
            [("capsule-x1", true), ("a", false), ("a--b", false), ("-ab", false), ("a b c", false)]
        {
            assert_eq!(is_label(label), valid, "{label}");
        }
    }
}
