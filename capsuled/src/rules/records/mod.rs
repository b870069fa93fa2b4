//! The inventory as other programs write and read it: CSV, Ansible, OpenSSH.
//!
//! Every name and value goes through the escaping of its format here, so what somebody has called a server is
//! never a formula, an option or a pattern elsewhere.

pub mod ansible;
pub mod csv;
pub mod ssh_config;
