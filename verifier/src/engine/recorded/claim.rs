//! Which output a piece is of: what its name says.

use std::path::{Path, PathBuf};

use super::error::RecordedError;
use super::order::{check_order, natural_order};
use super::piece::Piece;

/// Names of a bundle's tensors, by which files say what they hold.
#[derive(Debug, Clone, Default)]
pub struct TensorNames {
    /// Outputs of the part in its order, those without a golden too.
    pub outputs: Vec<String>,
    /// Inputs and outputs of every part.
    pub all: Vec<String>,
}

/// What a piece is of.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Claim {
    /// An output that is compared, by its position.
    Output(usize),
    /// Another tensor of the bundle.
    Other,
    /// Its name says nothing of that.
    Unknown,
}

/// Gives every piece to the output that it names; where there is one output and no name of it, all
/// that name no other tensor are its own.
pub(super) fn claimed(
    path: &Path,
    mut pieces: Vec<Piece>,
    outputs: &[&str],
    tensors: &TensorNames,
) -> Result<Vec<Vec<Piece>>, RecordedError> {
    // Stable: what has the same key keeps its order.
    pieces.sort_by(|a, b| natural_order(&a.key, &b.key));
    let claims = pieces
        .iter()
        .map(|piece| claim(&piece.key, outputs, tensors));
    let claims: Vec<Claim> = claims.collect();
    let is_output = |claim: &Claim| matches!(claim, Claim::Output(_));
    let nobody = !claims.iter().any(is_output);
    if nobody && outputs.len() > 1 {
        return Err(RecordedError::Unclaimed {
            path: pieces
                .first()
                .map_or(path.to_owned(), |piece| PathBuf::from(&piece.source_name)),
            outputs: outputs.iter().map(|&name| name.to_owned()).collect(),
        });
    }
    let mut of_output: Vec<Vec<Piece>> = outputs.iter().map(|_| vec![]).collect();
    let mut others = Vec::new();
    for (piece, claim) in pieces.into_iter().zip(claims) {
        match claim {
            Claim::Output(output) => of_output[output].push(piece),
            Claim::Unknown if nobody => of_output[0].push(piece),
            claim => others.push((piece, claim)),
        }
    }
    for (pieces, output) in of_output.iter().zip(outputs) {
        if pieces.is_empty() {
            let found = others.iter().map(|(piece, _)| piece.key.as_str());
            return Err(RecordedError::Missing {
                path: path.to_owned(),
                output: (*output).to_owned(),
                found: found.collect::<Vec<_>>().join(", "),
            });
        }
        check_order(pieces)?;
    }
    refuse_beside(&others, &of_output)?;
    Ok(of_output)
}

/// Refuses files of which nothing says what they are beside those that name an output: one of them
/// may be of an earlier run. A tensor that has another name is another one.
fn refuse_beside(others: &[(Piece, Claim)], of_output: &[Vec<Piece>]) -> Result<(), RecordedError> {
    let is_unknown = |(piece, claim): &&(Piece, Claim)| *claim == Claim::Unknown && !piece.is_named;
    let unknown = others.iter().find(is_unknown);
    let named = of_output.iter().flatten().next();
    match (unknown, named) {
        (Some((unknown, _)), Some(named)) => Err(RecordedError::Beside {
            path: PathBuf::from(&unknown.source_name),
            named: PathBuf::from(&named.source_name),
        }),
        _ => Ok(()),
    }
}

/// The tensor that a key names: `NAME`, `NAME_7`, `NAME/7`, `7/NAME`, `NAME.output.8.65.96.fp32`;
/// and `output_1`, the part's second output, as ONNX's test data sets have it.
fn claim(key: &str, outputs: &[&str], tensors: &TensorNames) -> Claim {
    let TensorNames {
        outputs: of_part,
        all,
    } = tensors;
    let known = of_part.iter().chain(all).map(String::as_str);
    let known = outputs.iter().copied().chain(known);
    // What is in a file says more than its name, and that more than its folder's.
    let by_name = key.rsplit('/').find_map(|part| {
        let names = known.clone().filter(|name| names(part, name));
        // Of names that begin alike, the longest.
        names.max_by_key(|name| name.len())
    });
    match by_name.or_else(|| by_number(key, of_part)) {
        None => Claim::Unknown,
        Some(name) => match outputs.iter().position(|output| *output == name) {
            Some(output) => Claim::Output(output),
            None => Claim::Other,
        },
    }
}

fn names(part: &str, tensor: &str) -> bool {
    let Some(rest) = part.strip_prefix(tensor) else {
        return false;
    };
    let number = rest.trim_start_matches(['_', '-', '.']);
    rest.is_empty()
        || number.bytes().all(|byte| byte.is_ascii_digit())
        || rest.starts_with(".output.")
        || rest.starts_with(".input.")
}

fn by_number<'a>(key: &str, of_part: &'a [String]) -> Option<&'a str> {
    let mut parts = key.rsplit('/');
    let number = parts.find_map(|part| part.strip_prefix("output_")?.parse::<usize>().ok())?;
    let is_data_set = key.contains("test_data_set_");
    let name = of_part.get(number).filter(|_| is_data_set)?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_named_by_any_part_of_a_path() {
        let tensors = TensorNames {
            outputs: ["residual", "submodel_input", "attention"]
                .map(str::to_owned)
                .into(),
            all: ["image", "submodel_input", "submodel_output"]
                .map(str::to_owned)
                .into(),
        };
        let outputs = ["submodel_input", "attention"];
        for (key, expected) in [
            ("attention", Claim::Output(1)),
            ("submodel_input_12", Claim::Output(0)),
            ("submodel_input/3", Claim::Output(0)),
            ("Result_7/attention", Claim::Output(1)),
            ("submodel_input.output.8.65.96.fp32", Claim::Output(0)),
            // By the part's outputs, of which not all are compared.
            ("test_data_set_2/output_0", Claim::Other),
            ("test_data_set_2/output_1", Claim::Output(0)),
            ("test_data_set_2/output_1/some", Claim::Output(0)),
            ("test_data_set_2/output_3", Claim::Unknown),
            ("output_1", Claim::Unknown),
            ("residual", Claim::Other),
            ("image_3", Claim::Other),
            ("image.input.8.3.32.32.fp32", Claim::Other),
            ("submodel_input/residual", Claim::Other),
            ("submodel_output/attention", Claim::Output(1)),
            ("residuals", Claim::Unknown),
            ("submodel_inputs/x", Claim::Unknown),
        ] {
            assert_eq!(claim(key, &outputs, &tensors), expected, "{key}");
        }
        let longest = claim("x_1_0", &["x", "x_1"], &TensorNames::default());
        assert_eq!(longest, Claim::Output(1));
    }
}
