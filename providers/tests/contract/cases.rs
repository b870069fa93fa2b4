//! The vendors whose documents are there, and what each wants to see.

use capsule_api::ProviderName;
use capsule_providers::NewInstance;

use crate::calls::{Case, new_instance, reference};

/// Every vendor that is checked.
pub fn cases() -> Vec<Case> {
    vec![digitalocean(), vultr(), hetzner(), linode(), scaleway(), hivelocity(), equinix()]
}

fn digitalocean() -> Case {
    Case {
        mock: "digitalocean",
        provider: ProviderName::DigitalOcean,
        credential: &[("api_key", "dop_v1_0")],
        new: vec![new_instance("s-1vcpu-1gb", "nyc3")],
        references: vec![reference("3164494", "")],
    }
}

fn vultr() -> Case {
    let mut metal = new_instance("vbm-4c-32gb", "ewr");
    metal.bare_metal = true;
    let id = "cb676a46-66fd-4dfb-b839-443f2e6c0b60";
    Case {
        mock: "vultr",
        provider: ProviderName::Vultr,
        credential: &[("api_key", "0")],
        new: vec![new_instance("vc2-1c-1gb", "ewr"), metal],
        references: vec![reference(id, ""), reference(id, "bare-metal")],
    }
}

fn hetzner() -> Case {
    Case {
        mock: "hetzner",
        provider: ProviderName::Hetzner,
        credential: &[("api_key", "0")],
        new: vec![new_instance("cx22", "fsn1")],
        references: vec![reference("42", "")],
    }
}

fn linode() -> Case {
    Case {
        mock: "linode",
        provider: ProviderName::Linode,
        credential: &[("api_key", "0")],
        new: vec![new_instance("g6-nanode-1", "us-iad")],
        references: vec![reference("123", "")],
    }
}

fn scaleway() -> Case {
    let id = "489bbc33-127b-4f08-b633-1d4287572df5";
    Case {
        mock: "scaleway",
        provider: ProviderName::Scaleway,
        credential: &[("api_key", "0"), ("access_key", "SCWXXXXXXXXXXXXXXXXX")],
        new: vec![new_instance("DEV1-S", "fr-par-1")],
        references: vec![reference(id, "fr-par-1")],
    }
}

fn hivelocity() -> Case {
    let mut metal = new_instance("504", "TPA1");
    // The document's product has this one.
    metal.image = "ubuntu-22.04".to_owned();
    metal.bare_metal = true;
    let virtual_machine = NewInstance { bare_metal: false, ..metal.clone() };
    Case {
        mock: "hivelocity",
        provider: ProviderName::Hivelocity,
        credential: &[("api_key", "0")],
        new: vec![metal, virtual_machine],
        references: vec![
            reference("14731", ""),
            reference("14731", "compute"),
            reference("order-250321", ""),
        ],
    }
}

fn equinix() -> Case {
    let mut metal = new_instance("c3.small.x86", "da");
    metal.bare_metal = true;
    Case {
        mock: "equinix",
        provider: ProviderName::Equinix,
        credential: &[("api_key", "0"), ("project_id", "4a4bce6b-d2ef-41f8-95cf-0e2f32996440")],
        new: vec![metal],
        references: vec![reference("4a4bce6b-d2ef-41f8-95cf-0e2f32996441", "")],
    }
}
