//! Hivelocity as its API version 2 speaks: orders that become devices, whole lists without pages, power by
//! query parameter. A hidden device's order shows at once.

use hyper::Method;
use serde_json::{Value, json};

use super::{
    speech::{Answer, Refusal, Request, Speech},
    switches::Settings,
    world::{FakeInstance, FakeKey, NewFake, Phase, Plan, World, plan},
};

/// Names are product ids.
const PLANS: &[Plan] = &[
    plan("504", (4, 16_384, 960, 20_000), (0.17, 109.0), 0),
    plan("505", (8, 32_768, 960, 20_000), (0.25, 180.0), 0),
    plan("525", (16, 65_536, 1920, 20_000), (0.5, 360.0), 0),
    plan("580", (12, 98_304, 1920, 20_000), (0.8, 575.0), 1),
];

const SYSTEMS: &[(u64, &str)] =
    &[(14_000, "Ubuntu 24.x"), (14_001, "Ubuntu 22.x"), (14_002, "Debian 12.x"), (14_003, "Debian 13.x")];

/// How far an order's number is from its device's.
const ORDER_OFFSET: u64 = 200_000;

pub(super) const SPEECH: Speech = Speech {
    plans: PLANS,
    places: &[
        ("TPA1", "Tampa", "US"),
        ("ATL2", "Atlanta", "US"),
        ("LAX2", "Los Angeles", "US"),
        ("NYC1", "New York", "US"),
        ("DAL1", "Dallas", "US"),
    ],
    image: "Ubuntu 22.x",
    numeric_ids: true,
    credential: ("x-api-key", ""),
    is_public: |_| false,
    is_creation: |request| {
        request.method == Method::POST
            && matches!(request.parts()[..], ["api", "v2", "bare-metal-devices" | "compute"])
    },
    answer,
    refuse,
};

fn refuse(refusal: Refusal) -> Answer {
    let (status, message) = match refusal {
        Refusal::Unauthorised => (401, "Invalid API key.".to_owned()),
        Refusal::OutOfStock => (400, "Product is not in stock at this location.".to_owned()),
        Refusal::Quota => (403, "You have reached your device limit.".to_owned()),
        Refusal::Failing(429) => (429, "Too many requests".to_owned()),
        Refusal::Failing(status) => (status, "Internal Server Error".to_owned()),
        Refusal::NotFound => (404, "Device not found".to_owned()),
        Refusal::Invalid(message) => (400, message),
        Refusal::Conflict(message) => (409, message),
    };
    Answer::json(status, &json!({"code": status, "message": message}))
}

fn answer(request: &Request, world: &mut World, settings: &mut Settings) -> Answer {
    let parts = request.parts();
    let ["api", "v2", path @ ..] = parts.as_slice() else { return refuse(Refusal::NotFound) };
    match (request.method.as_str(), path) {
        ("GET", ["profile"] | ["profile", "basic"]) => {
            Answer::ok(&json!({"id": 861, "login": "ada", "first": "Ada",
            "last": "Lovelace", "fullName": "Ada Lovelace", "email": "ada@example.com", "company": "Example",
            "isClient": true, "city": "Tampa", "state": "FL", "country": "US", "zip": "33607", "metaData": {}}))
        }
        ("GET", ["inventory", "locations"]) => {
            Answer::ok(&json!(SPEECH.places.iter().map(location).collect::<Vec<_>>()))
        }
        ("GET", ["inventory", "product"]) => Answer::ok(&inventory(request, world)),
        ("GET", ["inventory", "product", id]) => match SPEECH.plan(id) {
            Some(plan) => Answer::ok(&product(plan, "TPA1", world)),
            None => refuse(Refusal::NotFound),
        },
        ("GET", ["product", id, "operating-systems"]) if SPEECH.plan(id).is_some() => Answer::ok(&systems()),
        ("GET", ["product", _, "options"]) => Answer::ok(&json!({})),
        ("GET", ["invoice", "unpaid"]) => Answer::ok(&json!({"amountUnpaid": 0.0})),
        (_, ["ssh_key", rest @ ..]) => keys(request, rest, world),
        ("GET", ["order"]) => {
            let orders: Vec<Value> = world.instances.iter().map(order).collect();
            Answer::ok(&json!(orders))
        }
        ("GET", ["order", id]) => match world.instances.iter().find(|own| order_id(own).to_string() == *id) {
            Some(own) => Answer::ok(&order(own)),
            None => refuse(Refusal::NotFound),
        },
        (_, [tree @ ("bare-metal-devices" | "compute"), rest @ ..]) => {
            machines(request, *tree == "bare-metal-devices", rest, world, settings)
        }
        ("GET", ["device"]) => {
            let found = world.list_beside(|_| true);
            Answer::ok(&json!(found.iter().map(device).collect::<Vec<_>>()))
        }
        (_, ["device", id, rest @ ..]) => device_call(request, id, rest, world, settings),
        _ => refuse(Refusal::NotFound),
    }
}

fn location(&(code, title, country): &(&str, &str, &str)) -> Value {
    let position = SPEECH.places.iter().position(|place| place.0 == code).unwrap_or_default();
    json!({"id": position + 1, "code": code, "title": title, "core": true, "edge": false,
        "location": {"city": title, "state": "FL", "country": country}, "location_option_ids": []})
}

fn product(plan: &Plan, place: &str, world: &World) -> Value {
    let (hourly, monthly) = world.price(plan);
    let memory = plan.memory_mib / 1024;
    json!({"product_id": plan.name.parse::<u64>().unwrap_or_default(), "data_center": place, "core": true, "edge": false,
        "product_name": format!("E-2276G {memory}GB {}GB SSD", plan.disk_gb),
        "stock": if world.sells(plan.name) { "available" } else { "unavailable" }, "product_cpu": "Intel Xeon E-2276G",
        "product_cpu_cores": format!("{} cores / {} threads", plan.vcpus, plan.vcpus * 2),
        "product_memory": format!("{memory}GB"), "product_drive": format!("{}GB SSD", plan.disk_gb),
        "product_bandwidth": "20TB / 1Gbps", "product_gpu": if plan.gpus == 0 { "" } else { "NVIDIA RTX 4090" },
        "product_hourly_price": hourly, "product_monthly_price": monthly, "hourly_location_premium": 0.0,
        "monthly_location_premium": 0.0, "product_disabled_billing_periods": [], "is_sps": true, "is_vps": false,
        "processor_info": {"cores": plan.vcpus, "threads": plan.vcpus * 2, "sockets": 1, "vcpus": plan.vcpus * 2},
        "product_on_sale": false, "product_display_price": monthly, "product_original_price": monthly})
}

/// By facility, each with everything it has.
fn inventory(request: &Request, world: &World) -> Value {
    let wanted =
        SPEECH.places.iter().filter(|place| request.query("location").is_none_or(|code| code == place.0));
    let at = |place: &str| json!(PLANS.iter().map(|plan| product(plan, place, world)).collect::<Vec<_>>());
    wanted.map(|place| (place.0.to_owned(), at(place.0))).collect::<serde_json::Map<_, _>>().into()
}

fn systems() -> Value {
    let features = json!({"sshKey": true, "postInstall": true, "cloudInit": true});
    let render = |&(id, name): &(u64, &str)| {
        json!({"id": id, "name": name, "monthlyPrice": 0.0, "currency": "USD", "tags": [], "expressions": [],
            "operatingSystemFeatures": features})
    };
    json!(SYSTEMS.iter().map(render).collect::<Vec<_>>())
}

fn key(key: &FakeKey) -> Value {
    json!({"sshKeyId": key.id.parse::<u64>().unwrap_or_default(), "name": key.name, "publicKey": key.text})
}

fn keys(request: &Request, rest: &[&str], world: &mut World) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", []) => Answer::ok(&json!(world.keys.iter().map(key).collect::<Vec<_>>())),
        ("POST", []) => match (request.text("name"), request.text("publicKey")) {
            (Some(name), Some(text)) => Answer::json(201, &key(&world.add_key(&name, &text))),
            _ => SPEECH.refuse_invalid("Invalid ssh key"),
        },
        ("GET", [id]) => world.key(id).map_or_else(|| refuse(Refusal::NotFound), |own| Answer::ok(&key(own))),
        ("DELETE", [id]) if world.remove_key(id) => Answer::empty(200),
        _ => refuse(Refusal::NotFound),
    }
}

fn number(instance: &FakeInstance) -> u64 {
    instance.id.parse().unwrap_or_default()
}

fn order_id(instance: &FakeInstance) -> u64 {
    number(instance) + ORDER_OFFSET
}

fn order(instance: &FakeInstance) -> Value {
    let status = match instance.phase {
        Phase::Provisioning => "provisioning",
        Phase::Failed => "cancelled",
        _ => "complete",
    };
    let service = json!({"hostname": instance.name, "deviceId": number(instance), "tags": instance.tags});
    json!({"orderId": order_id(instance), "status": status, "total": 0.0, "owner": "ada",
        "info": {"services": [service], "hostname": instance.name}})
}

fn machines(
    request: &Request,
    is_metal: bool,
    rest: &[&str],
    world: &mut World,
    settings: &mut Settings,
) -> Answer {
    if let [id, ..] = rest
        && world.instance(id).is_none_or(|own| own.bare_metal != is_metal)
    {
        return refuse(Refusal::NotFound);
    }
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let found = world.list(|own| own.bare_metal == is_metal);
            Answer::ok(&json!(found.iter().map(machine).collect::<Vec<_>>()))
        }
        ("POST", []) => create(request, is_metal, world, settings),
        ("GET", [id]) => match world.look_at(id) {
            Some(own) => Answer::ok(&machine(&own)),
            None => refuse(Refusal::NotFound),
        },
        ("PUT", [id]) => {
            let Some(own) = world.instance(id) else { return refuse(Refusal::NotFound) };
            if own.phase != Phase::Stopped {
                return SPEECH.refuse_invalid("Please power off device before reloading.");
            }
            own.name = request.text("hostname").unwrap_or_default();
            own.tags = request.texts("tags");
            Answer::ok(&machine(own))
        }
        ("DELETE", [id]) => match world.instance(id) {
            None => refuse(Refusal::NotFound),
            Some(own) if own.phase == Phase::Deleting => {
                refuse(Refusal::Conflict("Device already has a pending cancellation.".to_owned()))
            }
            Some(_) => {
                world.delete(id, settings.pace.deletion);
                Answer::empty(if settings.pace.deletion == 0 { 204 } else { 201 })
            }
        },
        _ => refuse(Refusal::NotFound),
    }
}

fn create(request: &Request, bare_metal: bool, world: &mut World, settings: &mut Settings) -> Answer {
    let text = |field| request.text(field).unwrap_or_default();
    let Some(product) = request.body["productId"].as_u64() else {
        return SPEECH.refuse_invalid("productId is required");
    };
    let (name, place, image) = (text("hostname"), text("locationName"), text("osName"));
    if SPEECH.plan(&product.to_string()).is_none() {
        return SPEECH.refuse_invalid("Product not found");
    }
    if SPEECH.place(&place).is_none() {
        return SPEECH.refuse_invalid("Invalid location");
    }
    if !SYSTEMS.iter().any(|system| system.1 == image) {
        return SPEECH.refuse_invalid("Invalid operating system");
    }
    if !name.contains('.') {
        return SPEECH.refuse_invalid("Hostname must be a fully qualified domain name");
    }
    let key = &request.body["publicSshKeyId"];
    let ssh_keys: Vec<String> = world.key(&key.to_string()).map(|own| own.text.clone()).into_iter().collect();
    if !key.is_null() && ssh_keys.is_empty() {
        return SPEECH.refuse_invalid("SSH key not found");
    }
    let plan = product.to_string();
    if let Some(refused) = SPEECH.obstacle(&plan, world, settings) {
        return refused;
    }
    let (tags, user_data) = (request.texts("tags"), request.text("script"));
    let new = NewFake { name, place, plan, image, tags, ssh_keys, user_data, bare_metal };
    Answer::ok(&machine(world.create(new, Phase::Running, settings)))
}

fn power_word(instance: &FakeInstance) -> &'static str {
    if matches!(instance.phase, Phase::Running | Phase::Deleting) { "ON" } else { "OFF" }
}

fn shown(instance: &FakeInstance) -> Value {
    instance.shown().map_or_else(|| json!(""), |address| json!(address))
}

fn machine(instance: &FakeInstance) -> Value {
    json!({"deviceId": number(instance), "orderId": order_id(instance), "serviceId": number(instance) + 100_000,
        "hostname": instance.name, "primaryIp": shown(instance), "powerStatus": power_word(instance),
        "locationName": instance.place, "osName": instance.image, "productName": "E-2276G",
        "productId": instance.plan.parse::<u64>().unwrap_or_default(), "tags": instance.tags, "period": "hourly",
        "script": instance.user_data.clone().unwrap_or_default(), "vlanId": 0})
}

fn device(instance: &FakeInstance) -> Value {
    let (outer, inner) = match (instance.phase, instance.moving) {
        (Phase::Provisioning, Some((_, left))) if 1 < left => ("BUILDING", "Building"),
        (Phase::Provisioning, _) => ("PROVISION_STARTED", "ProvisionStarted"),
        (Phase::Failed, _) => ("FAILED", "Failed"),
        _ => ("IN_USE", "InUse"),
    };
    json!({"deviceId": number(instance), "name": instance.name, "hostname": instance.name, "status": "active",
        "powerStatus": power_word(instance), "deviceType": "1U", "isReload": false, "primaryIp": shown(instance),
        "hasCancellation": instance.phase == Phase::Deleting, "tags": instance.tags, "selfProvisioning": true,
        "servicePlan": number(instance) + 100_000, "spsStatus": outer,
        "location": {"facility": instance.place, "facilityTitle": instance.place},
        "metadata": {"sps_status": inner, "is_reload": false}})
}

fn device_call(request: &Request, id: &str, rest: &[&str], world: &mut World, settings: &Settings) -> Answer {
    let Some(own) = world.instance(id) else { return refuse(Refusal::NotFound) };
    match (request.method.as_str(), rest) {
        ("GET", []) => match world.look_at(id) {
            Some(own) => Answer::ok(&device(&own)),
            None => refuse(Refusal::NotFound),
        },
        ("GET", ["power"]) => match world.look_at(id) {
            Some(own) => Answer::ok(&json!({"powerStatus": power_word(&own)})),
            None => refuse(Refusal::NotFound),
        },
        ("POST", ["power"]) => power(request, id, world, settings),
        ("GET", ["tags"]) => Answer::ok(&json!({"tags": own.tags})),
        ("PUT", ["tags"]) => {
            own.tags = request.texts("tags");
            Answer::ok(&json!({"tags": own.tags}))
        }
        ("GET", ["ips"]) => {
            let address = own.address.to_string();
            let subnet = format!("{address}/32");
            Answer::ok(
                &json!([{"version": 4, "subnet": subnet, "firstUsableIp": address, "lastUsableIp": address,
                "usableIps": [address], "facilityCode": own.place, "deviceId": number(own)}]),
            )
        }
        ("GET", ["events"]) => Answer::ok(&json!([])),
        ("GET", ["initial-password"]) => Answer::ok(&json!({"password": "tE9ayhFCDhsW"})),
        _ => refuse(Refusal::NotFound),
    }
}

fn power(request: &Request, id: &str, world: &mut World, settings: &Settings) -> Answer {
    let to = match request.query("action") {
        Some("boot" | "reboot") => Phase::Running,
        Some("shutdown") => Phase::Stopped,
        _ => return SPEECH.refuse_invalid("Invalid power action"),
    };
    let own = world.instance(id).expect("looked up before");
    if own.phase == Phase::Stopped && request.query("action") != Some("boot") {
        return SPEECH.refuse_invalid("Can't do this while server is powered off.");
    }
    if own.phase == Phase::Provisioning {
        return SPEECH.refuse_invalid("Device is being provisioned.");
    }
    let word = power_word(own);
    world.power(id, to, settings.pace.power);
    Answer::json(202, &json!({"powerStatus": word}))
}
