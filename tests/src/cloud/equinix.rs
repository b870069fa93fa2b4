//! Equinix Metal as its API version 1 spoke until it ended. Any project id is taken for the account's own.

use hyper::Method;
use serde_json::{Value, json};

use super::{
    speech::{Answer, Refusal, Request, Speech, paged},
    switches::Settings,
    world::{FakeInstance, FakeKey, NewFake, Phase, Plan, World, now, plan, uuid},
};

const PLANS: &[Plan] = &[
    plan("c3.small.x86", (8, 32_768, 960, 0), (0.75, 547.5), 0),
    plan("c3.medium.x86", (24, 65_536, 960, 0), (1.5, 1095.0), 0),
    plan("g2.large.x86", (24, 131_072, 1920, 0), (5.0, 3650.0), 1),
];

const SYSTEMS: &[(&str, &str, &str)] = &[
    ("ubuntu_24_04", "Ubuntu 24.04 LTS", "ubuntu"),
    ("ubuntu_22_04", "Ubuntu 22.04 LTS", "ubuntu"),
    ("debian_12", "Debian 12", "debian"),
    ("debian_13", "Debian 13", "debian"),
];

pub(super) const SPEECH: Speech = Speech {
    plans: PLANS,
    places: &[
        ("da", "Dallas", "US"),
        ("sv", "Silicon Valley", "US"),
        ("ny", "New York", "US"),
        ("am", "Amsterdam", "NL"),
        ("sg", "Singapore", "SG"),
    ],
    image: "ubuntu_22_04",
    numeric_ids: false,
    credential: ("x-auth-token", ""),
    is_public: |_| false,
    is_creation: |request| {
        request.method == Method::POST && matches!(request.parts()[..], [_, _, "projects", _, "devices"])
    },
    answer,
    refuse,
};

fn refuse(refusal: Refusal) -> Answer {
    let (status, message) = match refusal {
        Refusal::Unauthorised => return Answer::json(401, &json!({"error": "Invalid authentication token"})),
        Refusal::OutOfStock => {
            (422, "The metro has no provisionable servers matching your criteria".to_owned())
        }
        Refusal::Quota => {
            (422, "You have reached the maximum number of devices allowed for this project".to_owned())
        }
        Refusal::Failing(429) => (429, "Too many requests".to_owned()),
        Refusal::Failing(status) => (status, "Oh snap, something went wrong!".to_owned()),
        Refusal::NotFound => (404, "Not found".to_owned()),
        Refusal::Invalid(message) | Refusal::Conflict(message) => (422, message),
    };
    Answer::json(status, &json!({"errors": [message]}))
}

fn answer(request: &Request, world: &mut World, settings: &mut Settings) -> Answer {
    let parts = request.parts();
    let ["metal", "v1", path @ ..] = parts.as_slice() else { return refuse(Refusal::NotFound) };
    match (request.method.as_str(), path) {
        ("GET", ["user"]) => {
            Answer::ok(&json!({"id": uuid(1), "short_id": "c0ffee00", "email": "ada@example.com",
            "full_name": "Ada Lovelace", "default_project_id": uuid(2), "created_at": "2020-01-01T00:00:00Z"}))
        }
        ("GET", ["projects"]) => {
            let meta = json!({"total": 1, "current_page": 1, "last_page": 1});
            Answer::ok(&json!({"projects": [project(&uuid(2))], "meta": meta}))
        }
        ("GET", ["projects", id]) => Answer::ok(&project(id)),
        ("GET", ["plans"] | ["projects", _, "plans"]) => {
            let plans: Vec<Value> = PLANS.iter().map(|plan| plan_body(plan, world)).collect();
            Answer::ok(&json!({"plans": plans}))
        }
        ("GET", ["locations", "metros"]) => {
            Answer::ok(&json!({"metros": SPEECH.places.iter().map(metro).collect::<Vec<_>>()}))
        }
        ("GET", ["operating-systems"]) => Answer::ok(&json!({"operating_systems": systems()})),
        ("GET", ["capacity", "metros"]) => Answer::ok(&capacity(world)),
        ("POST", ["capacity", "metros"]) => Answer::ok(&capacity_for(request, world)),
        (_, ["projects", _, "ssh-keys"] | ["ssh-keys"]) => keys(request, None, world),
        (_, ["ssh-keys", id]) => keys(request, Some(id), world),
        ("GET", ["projects", project, "devices"]) => list(request, project, world),
        ("POST", ["projects", project, "devices"]) => create(request, project, world, settings),
        (_, ["devices", id, rest @ ..]) => device(request, id, rest, world, settings),
        _ => refuse(Refusal::NotFound),
    }
}

fn project(id: &str) -> Value {
    json!({"id": id, "name": "capsule", "href": format!("/metal/v1/projects/{id}"), "type": "default",
        "created_at": "2020-01-01T00:00:00Z", "max_devices": {}, "tags": []})
}

fn metro_id(code: &str) -> String {
    let position = SPEECH.places.iter().position(|place| place.0 == code).unwrap_or_default();
    uuid(100 + position as u64)
}

fn metro(&(code, name, country): &(&str, &str, &str)) -> Value {
    json!({"id": metro_id(code), "code": code, "name": name, "country": country})
}

fn plan_body(plan: &Plan, world: &World) -> Value {
    let (hourly, _) = world.price(plan);
    let metros = SPEECH.places.iter().filter(|_| world.sells(plan.name));
    let metros: Vec<Value> = metros
        .map(|place| {
            json!({"href": format!("/metal/v1/locations/metros/{}", metro_id(place.0)), "price": {"hour": hourly}})
        })
        .collect();
    let position = PLANS.iter().position(|own| own.name == plan.name).unwrap_or_default();
    let drive =
        json!({"count": 2, "size": format!("{}GB", plan.disk_gb / 2), "type": "SSD", "category": "boot"});
    json!({"id": uuid(200 + position as u64), "slug": plan.name, "name": plan.name, "class": plan.name,
        "description": "Our configuration", "line": "baremetal", "legacy": false, "type": "standard",
        "categories": ["compute"], "deployment_types": ["on_demand", "spot_market"],
        "pricing": {"hour": hourly}, "available_in": [], "available_in_metros": metros,
        "specs": {"cpus": [{"count": 1, "type": format!("1 x {}-core Processor", plan.vcpus)}],
            "memory": {"total": format!("{}GB", plan.memory_mib / 1024)}, "drives": [drive],
            "nics": [{"count": 2, "type": "10Gbps"}], "features": {"raid": false, "txt": true, "uefi": true}}})
}

fn systems() -> Vec<Value> {
    let names: Vec<&str> = PLANS.iter().map(|plan| plan.name).collect();
    let render = |&(slug, name, distro): &(&str, &str, &str)| {
        json!({"id": uuid(300), "slug": slug, "name": name, "distro": distro, "version": name, "preinstallable": true,
            "provisionable_on": names, "pricing": {}, "licensed": false})
    };
    SYSTEMS.iter().map(render).collect()
}

fn capacity(world: &World) -> Value {
    let level = |plan: &Plan| json!({"level": if world.sells(plan.name) { "normal" } else { "unavailable" }});
    let plans: serde_json::Map<_, _> = PLANS.iter().map(|plan| (plan.name.to_owned(), level(plan))).collect();
    let metros: serde_json::Map<_, _> =
        SPEECH.places.iter().map(|place| (place.0.to_owned(), json!(plans))).collect();
    json!({"capacity": metros})
}

fn capacity_for(request: &Request, world: &World) -> Value {
    let mut servers = request.body["servers"].as_array().cloned().unwrap_or_default();
    for server in &mut servers {
        server["available"] = json!(server["plan"].as_str().is_some_and(|plan| world.sells(plan)));
    }
    json!({"servers": servers})
}

fn key(key: &FakeKey) -> Value {
    json!({"id": key.id, "label": key.name, "key": key.text, "fingerprint": key.fingerprint, "tags": [],
        "created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z",
        "href": format!("/metal/v1/ssh-keys/{}", key.id)})
}

fn keys(request: &Request, id: Option<&str>, world: &mut World) -> Answer {
    match (request.method.as_str(), id) {
        ("GET", None) => Answer::ok(&json!({"ssh_keys": world.keys.iter().map(key).collect::<Vec<_>>()})),
        ("POST", None) => {
            let Some(text) = request.text("key") else { return SPEECH.refuse_invalid("Key can't be blank") };
            let label = request.text("label").unwrap_or_default();
            let added = world.add_key(&label, &text);
            if 1 < world.keys.iter().filter(|own| own.fingerprint == added.fingerprint).count() {
                world.keys.pop();
                return SPEECH.refuse_invalid("Key has already been taken");
            }
            Answer::json(201, &key(&added))
        }
        ("GET", Some(id)) => {
            world.key(id).map_or_else(|| refuse(Refusal::NotFound), |own| Answer::ok(&key(own)))
        }
        ("DELETE", Some(id)) if world.remove_key(id) => Answer::empty(204),
        _ => refuse(Refusal::NotFound),
    }
}

fn list(request: &Request, project: &str, world: &mut World) -> Answer {
    let found = world.list(|own| {
        request.query("tag").is_none_or(|tag| own.has_tag(tag))
            && request.query("hostname").is_none_or(|name| own.name == name)
            && request.query("metro").is_none_or(|metro| own.place == metro)
    });
    let (page, size) = request.page("per_page", 10, 1000);
    let (part, last) = paged(&found, (page, size));
    let devices: Vec<Value> = part.iter().map(|own| body(own, project, world)).collect();
    let address = |number: usize| json!({"href": format!("{}?page={number}&per_page={size}", request.path)});
    let mut meta = json!({"total": found.len(), "current_page": page, "last_page": last, "first": address(1),
        "last": address(last), "self": address(page)});
    if page < last {
        meta["next"] = address(page + 1);
    }
    if 1 < page {
        meta["previous"] = address(page - 1);
    }
    Answer::ok(&json!({"devices": devices, "meta": meta}))
}

fn create(request: &Request, project: &str, world: &mut World, settings: &mut Settings) -> Answer {
    let text = |field| request.text(field).unwrap_or_default();
    let (plan, place, image) = (text("plan"), text("metro"), text("operating_system"));
    if SPEECH.plan(&plan).is_none() {
        return SPEECH.refuse_invalid(format!("Plan {plan} is not valid"));
    }
    if SPEECH.place(&place).is_none() {
        return SPEECH.refuse_invalid(format!("Metro {place} is not valid"));
    }
    if !SYSTEMS.iter().any(|system| system.0 == image) {
        return SPEECH.refuse_invalid("Operating system is not valid");
    }
    let mut wanted = request.texts("project_ssh_keys");
    wanted.extend(request.texts("user_ssh_keys"));
    if wanted.is_empty() && request.body["no_ssh_keys"] != true {
        // Nothing said means every key there is.
        wanted = world.keys.iter().map(|key| key.id.clone()).collect();
    }
    let keys: Option<Vec<String>> =
        wanted.iter().map(|id| world.key(id).map(|key| key.text.clone())).collect();
    let Some(ssh_keys) = keys else { return SPEECH.refuse_invalid("SSH key not found") };
    if let Some(refused) = SPEECH.obstacle(&plan, world, settings) {
        return refused;
    }
    let (name, tags, user_data) = (text("hostname"), request.texts("tags"), request.text("userdata"));
    let new = NewFake { name, place, plan, image, tags, ssh_keys, user_data, bare_metal: true };
    let made = world.create(new, Phase::Running, settings).clone();
    Answer::json(201, &body(&made, project, world))
}

fn body(instance: &FakeInstance, project: &str, world: &World) -> Value {
    let state = match (instance.phase, instance.moving) {
        (Phase::Provisioning, Some((_, left))) if 1 < left => "queued",
        (Phase::Provisioning, _) => "provisioning",
        (Phase::Running, Some((Phase::Stopped, _))) => "powering_off",
        (Phase::Running, Some(_)) => "powering_on",
        (Phase::Running, None) => "active",
        (Phase::Stopped, Some(_)) => "powering_on",
        (Phase::Stopped, None) => "inactive",
        (Phase::Failed, _) => "failed",
        (Phase::Deleting | Phase::Gone, _) => "deprovisioning",
    };
    let place = SPEECH.place(&instance.place).unwrap_or(&SPEECH.places[0]);
    let plan = SPEECH.plan(&instance.plan).unwrap_or(&PLANS[0]);
    let address = |address: &str, public: bool| {
        json!({"id": uuid(400), "address": address, "address_family": 4, "public": public, "management": true,
            "manageable": true, "enabled": true, "cidr": 31, "netmask": "255.255.255.254", "gateway": "127.0.0.1",
            "network": "127.0.0.0", "created_at": instance.created})
    };
    let mut addresses: Vec<Value> = Vec::new();
    if let Some(shown) = instance.shown() {
        addresses.extend([address("10.66.0.3", false), address(&shown.to_string(), true)]);
    }
    let system = SYSTEMS.iter().position(|known| known.0 == instance.image).unwrap_or_default();
    json!({"id": instance.id, "short_id": instance.id.split('-').next(), "hostname": instance.name, "state": state,
        "tags": instance.tags, "billing_cycle": "hourly", "user": "root", "created_at": instance.created,
        "updated_at": now(), "locked": false, "ip_addresses": addresses, "metro": metro(place),
        "plan": plan_body(plan, world), "operating_system": systems()[system], "iqn": "", "spot_instance": false,
        "href": format!("/metal/v1/devices/{}", instance.id),
        "project": {"href": format!("/metal/v1/projects/{project}")},
        "provisioning_percentage": if instance.phase == Phase::Provisioning { 20.0 } else { 100.0 }})
}

fn device(request: &Request, id: &str, rest: &[&str], world: &mut World, settings: &Settings) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", []) => match world.look_at(id) {
            Some(own) => Answer::ok(&body(&own, &uuid(2), world)),
            None => refuse(Refusal::NotFound),
        },
        ("GET", ["ips"]) => match world.instance(id).cloned() {
            Some(own) => Answer::ok(&json!({"ip_addresses": body(&own, &uuid(2), world)["ip_addresses"]})),
            None => refuse(Refusal::NotFound),
        },
        ("PUT", []) => {
            let Some(own) = world.instance(id) else { return refuse(Refusal::NotFound) };
            if !request.body["tags"].is_null() {
                own.tags = request.texts("tags");
            }
            if let Some(name) = request.text("hostname") {
                own.name = name;
            }
            let own = own.clone();
            Answer::ok(&body(&own, &uuid(2), world))
        }
        ("DELETE", []) if world.delete(id, settings.pace.deletion) => Answer::empty(204),
        ("POST", ["actions"]) => {
            let to = match request.text("type").as_deref() {
                Some("power_on" | "reboot") => Phase::Running,
                Some("power_off") => Phase::Stopped,
                _ => return SPEECH.refuse_invalid("Type is not included in the list"),
            };
            let Some(own) = world.instance(id) else { return refuse(Refusal::NotFound) };
            if own.phase == Phase::Provisioning {
                return SPEECH.refuse_invalid("Cannot perform this action while the device is provisioning");
            }
            world.power(id, to, settings.pace.power);
            Answer::empty(202)
        }
        _ => refuse(Refusal::NotFound),
    }
}
