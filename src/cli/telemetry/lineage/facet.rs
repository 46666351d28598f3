//! Facets: what is said of runs, jobs and data sets, each under the schema that describes it.
use serde_json::{Value, json};

/// The program, as a package URL: <https://github.com/package-url/purl-spec>.
pub const PRODUCER: &str = concat!("pkg:cargo/tuwen@", env!("CARGO_PKG_VERSION"));

/// Versions of the facets that are used.
const VERSIONS: [(&str, &str); 8] = [
    ("DatasetVersionDatasetFacet", "1-0-1"),
    ("ErrorMessageRunFacet", "1-0-1"),
    ("JobTypeJobFacet", "2-0-4"),
    ("OutputStatisticsOutputDatasetFacet", "1-0-2"),
    ("ParentRunFacet", "1-2-0"),
    ("ProcessingEngineRunFacet", "1-1-1"),
    ("SchemaDatasetFacet", "1-2-0"),
    ("SymlinksDatasetFacet", "1-0-1"),
];

/// The fields under the schema of that name; one that has no schema of its own goes by the base of its kind, e.g. `RunFacet`.
pub fn facet(schema: &str, fields: Value) -> Value {
    let own = VERSIONS.iter().find(|(name, _)| *name == schema);
    let url = match own {
        Some((_, version)) => format!("https://openlineage.io/spec/facets/{version}/{schema}.json#/$defs/{schema}"),
        None => format!("https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/{schema}"),
    };
    let mut facet = json!({ "_producer": PRODUCER, "_schemaURL": url });
    if let (Some(facet), Value::Object(fields)) = (facet.as_object_mut(), fields) {
        facet.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
    }
    facet
}
