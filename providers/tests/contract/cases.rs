//! The vendors whose documents are there, and what each wants to see.

use capsule_api::ProviderName;

use crate::calls::{Case, new_instance, reference};

/// Every vendor that is checked.
pub fn cases() -> Vec<Case> {
    vec![digitalocean(), vultr(), hetzner()]
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
