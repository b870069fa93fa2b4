//! Vultr as its API version 2 speaks: a cursor for paging, base64 user data, and bare metal on a tree of its own
//! whose sizes are texts.

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::Method;
use serde_json::{Value, json};

use super::{
    speech::{Answer, Refusal, Request, Speech, paged},
    switches::Settings,
    world::{FakeInstance, FakeKey, NewFake, Phase, Plan, World, plan},
};

const PLANS: &[Plan] = &[
    plan("vc2-1c-1gb", (1, 1024, 25, 1024), (0.007, 5.0), 0),
    plan("vc2-1c-0.5gb-v6", (1, 512, 10, 512), (0.003, 2.5), 0),
    plan("vc2-2c-4gb", (2, 4096, 80, 3072), (0.027, 20.0), 0),
    plan("vhf-3c-8gb", (3, 8192, 256, 4096), (0.066, 48.0), 0),
    plan("vc2-4c-8gb", (4, 8192, 160, 4096), (0.055, 40.0), 0),
    plan("vbm-4c-32gb", (4, 32_768, 240, 5120), (0.164, 120.0), 0),
];

const SYSTEMS: &[(u64, &str, &str)] = &[
    (2284, "Ubuntu 24.04 LTS x64", "ubuntu"),
    (1743, "Ubuntu 22.04 LTS x64", "ubuntu"),
    (2136, "Debian 12 x64 (bookworm)", "debian"),
    (2625, "Debian 13 x64 (trixie)", "debian"),
];

pub(super) const SPEECH: Speech = Speech {
    plans: PLANS,
    places: &[
        ("ewr", "New Jersey", "US"),
        ("ord", "Chicago", "US"),
        ("dfw", "Dallas", "US"),
        ("sea", "Seattle", "US"),
        ("lax", "Los Angeles", "US"),
        ("ams", "Amsterdam", "NL"),
        ("sgp", "Singapore", "SG"),
    ],
    image: "2284",
    numeric_ids: false,
    credential: ("authorization", "Bearer "),
    is_public: |request| {
        request.method == Method::GET
            && matches!(request.parts()[..], ["v2", "plans" | "plans-metal" | "regions" | "os", ..])
    },
    is_creation: |request| {
        request.method == Method::POST && matches!(request.parts()[..], ["v2", "instances" | "bare-metals"])
    },
    answer,
    refuse,
};

fn refuse(refusal: Refusal) -> Answer {
    let (status, error) = match refusal {
        Refusal::Unauthorised => (401, "Invalid API token.".to_owned()),
        Refusal::OutOfStock => {
            (400, "Server add failed: Plan is not available in the selected region.".to_owned())
        }
        Refusal::Quota => {
            let text = "Server add failed: You have reached the maximum monthly fee limit for this account. Please \
                        contact our support team and request a limit increase.";
            (400, text.to_owned())
        }
        Refusal::Failing(429) => (429, "Rate limit exceeded".to_owned()),
        Refusal::Failing(status) => (status, "Internal server error".to_owned()),
        Refusal::NotFound => (404, "Invalid instance-id.".to_owned()),
        Refusal::Invalid(message) | Refusal::Conflict(message) => (400, message),
    };
    Answer::json(status, &json!({"error": error, "status": status}))
}

fn answer(request: &Request, world: &mut World, settings: &mut Settings) -> Answer {
    let parts = request.parts();
    let Some((&"v2", path)) = parts.split_first() else { return refuse(Refusal::NotFound) };
    match (request.method.as_str(), path) {
        ("GET", ["account"]) => Answer::ok(&account()),
        ("GET", ["plans"]) => {
            let kind = request.query("type").unwrap_or("all");
            let plans = PLANS.iter().filter(|plan| !is_metal(plan));
            let plans = plans.filter(|plan| kind == "all" || plan.name.starts_with(&format!("{kind}-")));
            list(request, "plans", &plans.map(|plan| virtual_plan(plan, world)).collect::<Vec<_>>())
        }
        ("GET", ["plans-metal"]) => {
            let plans: Vec<Value> =
                PLANS.iter().filter(|p| is_metal(p)).map(|p| metal_plan(p, world)).collect();
            list(request, "plans_metal", &plans)
        }
        ("GET", ["regions"]) => list(request, "regions", &regions()),
        ("GET", ["regions", place, "availability"]) if SPEECH.place(place).is_some() => {
            let plans: Vec<&str> =
                PLANS.iter().map(|plan| plan.name).filter(|plan| world.sells(plan)).collect();
            Answer::ok(&json!({"available_plans": plans}))
        }
        ("GET", ["os"]) => {
            let render = |&(id, name, family): &(u64, &str, &str)| json!({"id": id, "name": name, "arch": "x64", "family": family});
            list(request, "os", &SYSTEMS.iter().map(render).collect::<Vec<_>>())
        }
        (_, ["ssh-keys", rest @ ..]) => keys(request, rest, world),
        (_, [tree @ ("instances" | "bare-metals"), rest @ ..]) => {
            machines(request, *tree == "bare-metals", rest, world, settings)
        }
        _ => refuse(Refusal::NotFound),
    }
}

fn account() -> Value {
    json!({"account": {"name": "Example Account", "email": "admin@example.com", "acls": ["manage_users",
        "subscriptions", "provisioning"], "balance": -100.55, "pending_charges": 60.25,
        "last_payment_date": "2020-10-10T01:56:20+00:00", "last_payment_amount": -1.25}})
}

/// A page; the cursor is the number of the next item, in base64 as Vultr's looks.
fn list(request: &Request, name: &str, items: &[Value]) -> Answer {
    let cursor = request.query("cursor").unwrap_or_default();
    let start = STANDARD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let start = start.and_then(|text| text.strip_prefix("next__")?.parse::<usize>().ok()).unwrap_or(0);
    let (_, size) = request.page("per_page", 100, 500);
    let rest = items.get(start..).unwrap_or_default();
    let (part, pages) = paged(rest, (1, size));
    let next = if 1 < pages { STANDARD.encode(format!("next__{}", start + size)) } else { String::new() };
    let prev = if 0 < start {
        STANDARD.encode(format!("next__{}", start.saturating_sub(size)))
    } else {
        String::new()
    };
    Answer::ok(&json!({name: part, "meta": {"total": items.len(), "links": {"next": next, "prev": prev}}}))
}

fn is_metal(plan: &Plan) -> bool {
    plan.name.starts_with("vbm-")
}

fn locations(plan: &Plan, world: &World) -> Vec<&'static str> {
    if world.sells(plan.name) { SPEECH.places.iter().map(|place| place.0).collect() } else { Vec::new() }
}

fn virtual_plan(plan: &Plan, world: &World) -> Value {
    let (hourly, monthly) = world.price(plan);
    json!({"id": plan.name, "vcpu_count": plan.vcpus, "ram": plan.memory_mib, "disk": plan.disk_gb, "disk_count": 1,
        "bandwidth": plan.transfer_gb, "monthly_cost": monthly, "hourly_cost": hourly, "invoice_type": "hourly",
        "type": plan.name.split('-').next(), "locations": locations(plan, world), "deploy_ondemand": true,
        "deploy_preemptible": false, "location_cost": {}, "cpu_vendor": "Intel"})
}

fn metal_plan(plan: &Plan, world: &World) -> Value {
    let (hourly, monthly) = world.price(plan);
    json!({"id": plan.name, "cpu_count": plan.vcpus, "cpu_model": "E3-1270v6", "cpu_threads": plan.vcpus * 2,
        "ram": plan.memory_mib, "disk": plan.disk_gb, "disk_count": 2, "bandwidth": plan.transfer_gb,
        "monthly_cost": monthly, "hourly_cost": hourly, "type": "SSD", "locations": locations(plan, world),
        "deploy_ondemand": true, "location_cost": {}})
}

fn regions() -> Vec<Value> {
    let render = |&(id, city, country): &(&str, &str, &str)| json!({"id": id, "city": city, "country": country, "continent": "North America", "options": ["ddos_protection"]});
    SPEECH.places.iter().map(render).collect()
}

fn key(key: &FakeKey) -> Value {
    json!({"id": key.id, "date_created": "2020-10-10T01:56:20+00:00", "name": key.name, "ssh_key": key.text})
}

fn keys(request: &Request, rest: &[&str], world: &mut World) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", []) => list(request, "ssh_keys", &world.keys.iter().map(key).collect::<Vec<_>>()),
        ("POST", []) => match (request.text("name"), request.text("ssh_key")) {
            (Some(name), Some(text)) => {
                Answer::json(201, &json!({"ssh_key": key(&world.add_key(&name, &text))}))
            }
            _ => SPEECH.refuse_invalid("Invalid ssh_key."),
        },
        ("GET", [id]) => match world.key(id) {
            Some(own) => Answer::ok(&json!({"ssh_key": key(own)})),
            None => refuse(Refusal::NotFound),
        },
        ("DELETE", [id]) if world.remove_key(id) => Answer::empty(204),
        _ => refuse(Refusal::NotFound),
    }
}

fn machines(
    request: &Request,
    metal: bool,
    rest: &[&str],
    world: &mut World,
    settings: &mut Settings,
) -> Answer {
    if let [id, ..] = rest
        && !matches!(*id, "start" | "halt" | "reboot")
        && world.instance(id).is_none_or(|own| own.bare_metal != metal)
    {
        return refuse(Refusal::NotFound);
    }
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let found = world.list(|own| own.bare_metal == metal && (metal || is_wanted(request, own)));
            let found: Vec<Value> = found.iter().map(render).collect();
            list(request, if metal { "bare_metals" } else { "instances" }, &found)
        }
        ("POST", []) => create(request, metal, world, settings),
        ("POST", [word @ ("start" | "halt" | "reboot")]) => {
            for id in request.texts("instance_ids") {
                power(&id, word, world, settings);
            }
            Answer::empty(204)
        }
        ("GET", [id]) => match world.look_at(id) {
            Some(own) => Answer::ok(&json!({if metal { "bare_metal" } else { "instance" }: render(&own)})),
            None => refuse(Refusal::NotFound),
        },
        ("GET", [id, "user-data"]) => {
            let data = world.instance(id).and_then(|own| own.user_data.clone()).unwrap_or_default();
            Answer::ok(&json!({"user_data": {"data": STANDARD.encode(data)}}))
        }
        ("PATCH", [id]) => {
            let own = world.instance(id).expect("looked up above");
            if !request.body["tags"].is_null() {
                own.tags = request.texts("tags");
            }
            if let Some(label) = request.text("label") {
                own.name = label;
            }
            Answer::json(202, &json!({if metal { "bare_metal" } else { "instance" }: render(own)}))
        }
        ("DELETE", [id]) => {
            if world.instance(id).is_some_and(|own| own.phase == Phase::Provisioning) {
                return SPEECH
                    .refuse_invalid("Unable to destroy subscription: Server is currently installing.");
            }
            world.delete(id, settings.pace.deletion);
            Answer::empty(204)
        }
        ("POST", [id, word @ ("start" | "halt" | "reboot")]) => power(id, word, world, settings),
        _ => refuse(Refusal::NotFound),
    }
}

fn is_wanted(request: &Request, instance: &FakeInstance) -> bool {
    request.query("label").is_none_or(|label| instance.name == label)
        && request.query("tag").is_none_or(|tag| instance.has_tag(tag))
        && request.query("region").is_none_or(|place| instance.place == place)
        && request.query("main_ip").is_none_or(|address| instance.address.to_string() == address)
}

fn create(request: &Request, metal: bool, world: &mut World, settings: &mut Settings) -> Answer {
    let (name, place) =
        (request.text("plan").unwrap_or_default(), request.text("region").unwrap_or_default());
    let Some(plan) = SPEECH.plan(&name).filter(|plan| is_metal(plan) == metal) else {
        return SPEECH.refuse_invalid("Invalid plan.");
    };
    if SPEECH.place(&place).is_none() {
        return SPEECH.refuse_invalid("Invalid location.");
    }
    let sources = ["os_id", "iso_id", "snapshot_id", "app_id", "image_id"];
    if sources.iter().filter(|source| !request.body[**source].is_null()).count() != 1 {
        return SPEECH.refuse_invalid(
            "You must specify exactly one of os_id, iso_id, snapshot_id, app_id or image_id.",
        );
    }
    let system = request.body["os_id"].as_u64().unwrap_or_default();
    if !SYSTEMS.iter().any(|known| known.0 == system) {
        return SPEECH.refuse_invalid("Invalid OS.");
    }
    let keys: Option<Vec<String>> =
        request.texts("sshkey_id").iter().map(|id| world.key(id).map(|key| key.text.clone())).collect();
    let Some(ssh_keys) = keys else { return SPEECH.refuse_invalid("Invalid SSH key.") };
    let encoded = request.text("user_data");
    let decoded =
        encoded.map(|text| STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()));
    if decoded == Some(None) {
        return SPEECH.refuse_invalid("Invalid user_data: not base64.");
    }
    if let Some(refused) = SPEECH.obstacle(plan.name, world, settings) {
        return refused;
    }
    let label = request.text("label").unwrap_or_default();
    let (tags, user_data, image) = (request.texts("tags"), decoded.flatten(), system.to_string());
    let new = NewFake { name: label, place, plan: name, image, tags, ssh_keys, user_data, bare_metal: metal };
    let made = world.create(new, Phase::Running, settings);
    // Without IPv4 there is no main_ip, ever.
    if plan.name.ends_with("-v6") {
        made.address_in = u32::MAX;
    }
    let mut body = render(made);
    body["default_password"] = json!("v5{Fkvb#2ycPGwHs");
    Answer::json(202, &json!({if metal { "bare_metal" } else { "instance" }: body}))
}

fn render(instance: &FakeInstance) -> Value {
    let main_ip = instance.shown().map_or_else(|| "0.0.0.0".to_owned(), |address| address.to_string());
    let plan = SPEECH.plan(&instance.plan).unwrap_or(&PLANS[0]);
    let system = instance.image.parse::<u64>().unwrap_or_default();
    let os = SYSTEMS.iter().find(|known| known.0 == system).map_or("Unknown", |known| known.1);
    // The first steps of an installation are pending, the last ones active but not done.
    let (status, server_status) = match (instance.phase, instance.moving) {
        (Phase::Provisioning, Some((_, 0))) => ("active", "installingbooting"),
        (Phase::Provisioning, _) => ("pending", "none"),
        (Phase::Failed, _) => ("suspended", "locked"),
        _ => ("active", "ok"),
    };
    let power = if matches!(instance.phase, Phase::Stopped) { "stopped" } else { "running" };
    let mut body = json!({"id": instance.id, "os": os, "main_ip": main_ip, "region": instance.place,
        "date_created": instance.created.replace('Z', "+00:00"), "status": status, "netmask_v4": "255.255.254.0",
        "gateway_v4": "127.0.0.1", "plan": instance.plan, "label": instance.name, "tag": "", "os_id": system,
        "app_id": 0, "image_id": "", "tags": instance.tags, "user_scheme": "root"});
    let more = if instance.bare_metal {
        json!({"ram": format!("{} MB", plan.memory_mib), "disk": format!("2x {}GB SSD", plan.disk_gb),
            "cpu_count": plan.vcpus, "v6_network": "", "v6_main_ip": "", "v6_network_size": 0,
            "mac_address": 2_199_756_823_533_u64})
    } else {
        json!({"ram": plan.memory_mib, "disk": plan.disk_gb, "vcpu_count": plan.vcpus, "power_status": power,
            "server_status": server_status, "allowed_bandwidth": plan.transfer_gb, "v6_networks": [],
            "hostname": instance.name, "internal_ip": "", "kvm": "https://my.vultr.com/subs/vps/novnc/api.php",
            "firewall_group_id": "", "features": [], "vpc_only": false})
    };
    let more = more.as_object().expect("it was written as one").clone();
    body.as_object_mut().expect("it was written as one").extend(more);
    body
}

fn power(id: &str, word: &str, world: &mut World, settings: &Settings) -> Answer {
    let to = if word == "halt" { Phase::Stopped } else { Phase::Running };
    match world.instance(id) {
        None => refuse(Refusal::NotFound),
        Some(own) if own.phase == Phase::Provisioning => {
            SPEECH.refuse_invalid("Unable to change power: Server is currently locked.")
        }
        Some(_) => {
            world.power(id, to, settings.pace.power);
            Answer::empty(204)
        }
    }
}
