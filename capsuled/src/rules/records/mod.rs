//! The inventory as other programs write and read it: CSV, Ansible, OpenSSH, Terraform.
//!
//! Every name and value goes through the escaping of its format here, so what somebody has called a server is
//! never a formula, an option or a pattern elsewhere. What is read is a [`record::Record`] for each server, or the
//! faults of the whole file by line and field; what becomes of the records is decided elsewhere.

pub mod ansible;
pub mod csv;
pub mod document;
pub mod faults;
pub mod record;
pub mod ssh_config;
pub mod ssh_hosts;
pub mod terraform;
