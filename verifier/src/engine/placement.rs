//! The proof that a run took place where it was asked to: ONNX Runtime's own profile, node by node.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::device::Device;

/// How many nodes ran on each execution provider.
pub type Placement = BTreeMap<String, usize>;

/// Why a profile proves nothing, or the contrary.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum PlacementError {
    /// The profile cannot be read.
    #[error(
        "the runtime's profile cannot be read, so there is no proof of where the nodes ran: {0}"
    )]
    Unreadable(String),
    /// The profile names no node.
    #[error("the runtime's profile names no node, so there is no proof of where they ran")]
    Empty,
    /// A node's event does not say where it ran.
    #[error("the runtime's profile does not say where node `{0}` ran")]
    Unplaced(String),
    /// A node ran elsewhere.
    #[error("{found} of {all} nodes ran on {provider}, not on {expected}")]
    Elsewhere {
        /// Where they ran.
        provider: String,
        /// How many.
        found: usize,
        /// Nodes in all.
        all: usize,
        /// Where they should have run.
        expected: String,
    },
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    cat: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    args: BTreeMap<String, serde_json::Value>,
}

/// Counts the nodes of a profile by provider.
pub fn parse(profile: &str) -> Result<Placement, PlacementError> {
    let events: Vec<Event> = serde_json::from_str(profile)
        .map_err(|error| PlacementError::Unreadable(error.to_string()))?;
    let mut placement = Placement::new();
    for event in events.iter().filter(|event| event.cat == "Node") {
        match event
            .args
            .get("provider")
            .and_then(|provider| provider.as_str())
        {
            Some(provider) if !provider.is_empty() => {
                *placement.entry(provider.to_owned()).or_default() += 1
            }
            // A node has further events beside its kernel's, such as the fences before and after
            // it.
            _ if !event.name.ends_with("_kernel_time") => {}
            _ => return Err(PlacementError::Unplaced(event.name.clone())),
        }
    }
    Ok(placement)
}

/// Passes only if at least one node ran, and every one on the device's provider.
pub fn prove(placement: &Placement, device: &Device) -> Result<(), PlacementError> {
    let all = placement.values().sum();
    if all == 0 {
        return Err(PlacementError::Empty);
    }
    let expected = device.provider();
    match placement
        .iter()
        .find(|(provider, _)| **provider != expected)
    {
        None => Ok(()),
        Some((provider, &found)) => Err(PlacementError::Elsewhere {
            provider: provider.clone(),
            found,
            all,
            expected,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, provider: &str) -> String {
        format!(
            r#"{{"cat":"Node","name":"{name}_kernel_time","args":{{"provider":"{provider}"}}}}"#
        )
    }

    fn verdict(profile: &str, device: Device) -> Result<(), PlacementError> {
        parse(profile).and_then(|placement| prove(&placement, &device))
    }

    #[test]
    fn every_node_on_the_device_is_a_proof() {
        let profile = format!(
            r#"[{{"cat":"Session","name":"model_run","args":{{}}}},{},{}]"#,
            node("qkv", "CUDAExecutionProvider"),
            node("scores", "CUDAExecutionProvider")
        );
        assert_eq!(verdict(&profile, Device::Cuda), Ok(()));
    }

    #[test]
    fn one_node_elsewhere_is_a_refusal() {
        let profile = format!(
            "[{},{}]",
            node("qkv", "CUDAExecutionProvider"),
            node("split", "CPUExecutionProvider")
        );
        let error = verdict(&profile, Device::Cuda)
            .expect_err("a node on the CPU")
            .to_string();
        assert_eq!(
            error,
            "1 of 2 nodes ran on CPUExecutionProvider, not on CUDAExecutionProvider"
        );
    }

    #[test]
    fn a_profile_that_proves_nothing_is_a_refusal() {
        assert_eq!(verdict("[]", Device::Cpu), Err(PlacementError::Empty));
        assert_eq!(
            verdict(r#"[{"cat":"Session","name":"model_run"}]"#, Device::Cpu),
            Err(PlacementError::Empty)
        );
        assert!(matches!(
            verdict("", Device::Cpu),
            Err(PlacementError::Unreadable(_))
        ));
        assert!(matches!(
            verdict(r#"[{"cat":"No"#, Device::Cpu),
            Err(PlacementError::Unreadable(_))
        ));
        let unplaced = r#"[{"cat":"Node","name":"qkv_kernel_time","args":{"op_name":"MatMul"}}]"#;
        assert_eq!(
            verdict(unplaced, Device::Cpu),
            Err(PlacementError::Unplaced("qkv_kernel_time".to_owned()))
        );
    }
}
