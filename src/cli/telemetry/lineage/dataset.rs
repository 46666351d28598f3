//! What stages read and write, under names as OpenLineage gives them: <https://openlineage.io/docs/spec/naming>.
use std::path::Path;

use serde_json::{Value, json};
use url::Url;

use super::absolute;
use super::facet::facet;
use crate::data::ArtifactKind;
use crate::data::table::Table;
use crate::pipeline::{Plan, StageSpec, Step, StepOutcome};

/// Names of what lies in one store.
pub struct Datasets {
    store: Place,
    /// Namespace of the jobs: the names by which an artifact goes whatever its fingerprint is stand in it.
    jobs: String,
}

/// A namespace and the name of a folder in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    namespace: String,
    folder: String,
}

impl Datasets {
    pub fn new(store: &str, jobs: &str) -> Self {
        Self { store: Place::of(store), jobs: jobs.to_owned() }
    }

    /// What a step reads: artifacts of other steps, and files of others.
    pub fn inputs(&self, plan: &Plan, step: &Step) -> Vec<Value> {
        let steps = step.inputs.iter().filter_map(|id| plan.step(id));
        let artifacts = steps.map(|input| dataset(self.artifact_name(input), &self.facets(plan, input)));
        let files = match &step.stage.spec {
            StageSpec::Ingest(spec) => Some((Place::of(spec.source.root()), "/source/root")),
            StageSpec::Model(spec) => {
                spec.weights.as_deref().map(|path| (Place::of(&path.to_string_lossy()), "/weights"))
            }
            _ => None,
        };
        let files = files.map(|(place, digest)| {
            // The settings hold the digest of what the path leads to.
            let digest = step.settings.pointer(digest).and_then(Value::as_str).unwrap_or_default();
            let version = json!({ "datasetVersion": digest });
            let facets = json!({ "version": facet("DatasetVersionDatasetFacet", version) });
            dataset((place.namespace, place.folder), &facets)
        });
        artifacts.chain(files).collect()
    }

    /// What a step made, or found made.
    pub fn output(&self, plan: &Plan, step: &Step, outcome: &StepOutcome) -> Value {
        let mut output = dataset(self.artifact_name(step), &self.facets(plan, step));
        // Of a step that was not repeated the rows are not known.
        if !outcome.reused
            && let Some(output) = output.as_object_mut()
        {
            let rows = facet("OutputStatisticsOutputDatasetFacet", json!({ "rowCount": outcome.rows_out }));
            output.insert("outputFacets".to_owned(), json!({ "outputStatistics": rows }));
        }
        output
    }

    /// A release of a pipeline.
    pub fn release(&self, pipeline: &str, number: u64) -> Value {
        let name = self.store.below(&format!("releases/{pipeline}/{number:020}.json"));
        let version = json!({ "datasetVersion": number.to_string() });
        let facets = json!({
            "version": facet("DatasetVersionDatasetFacet", version),
            "symlinks": self.symlinks(pipeline, "RELEASE"),
        });
        dataset((self.store.namespace.clone(), name), &facets)
    }

    fn artifact_name(&self, step: &Step) -> (String, String) {
        (self.store.namespace.clone(), self.store.below(&step.artifact.prefix()))
    }

    fn facets(&self, plan: &Plan, step: &Step) -> Value {
        let version = json!({ "datasetVersion": step.artifact.fingerprint });
        let mut facets = json!({
            "version": facet("DatasetVersionDatasetFacet", version),
            "symlinks": self.symlinks(&format!("{}.{}", plan.name, step.stage.id), "ARTIFACT"),
        });
        let tables = tables(step.artifact.kind);
        if let (Some(facets), false) = (facets.as_object_mut(), tables.is_empty()) {
            let fields: Vec<Value> = tables.iter().map(|table| table_field(*table)).collect();
            facets.insert("schema".to_owned(), facet("SchemaDatasetFacet", json!({ "fields": fields })));
        }
        facets
    }

    /// The name that stays when the fingerprint changes.
    fn symlinks(&self, name: &str, kind: &str) -> Value {
        let identifiers = json!([{ "namespace": self.jobs, "name": name, "type": kind }]);
        facet("SymlinksDatasetFacet", json!({ "identifiers": identifiers }))
    }
}

impl Place {
    /// Of a path or a URL; user, password and query are no part of a name.
    fn of(url: &str) -> Self {
        let file = |path: &str| Self { namespace: "file".to_owned(), folder: absolute(Path::new(path)) };
        match url.split_once("://") {
            None => file(url),
            Some(("file", path)) => file(path),
            Some((scheme, _)) => {
                let parsed = Url::parse(url).ok();
                let host = parsed.as_ref().and_then(Url::host_str).unwrap_or_default();
                let port = parsed.as_ref().and_then(Url::port).map(|port| format!(":{port}")).unwrap_or_default();
                let folder = parsed.as_ref().map_or("", Url::path).trim_matches('/').to_owned();
                Self { namespace: format!("{scheme}://{host}{port}"), folder }
            }
        }
    }

    fn below(&self, name: &str) -> String {
        if self.folder.is_empty() { name.to_owned() } else { format!("{}/{name}", self.folder) }
    }
}

fn dataset((namespace, name): (String, String), facets: &Value) -> Value {
    // A bucket as a whole is called `/`.
    let name = if name.is_empty() { "/".to_owned() } else { name };
    json!({ "namespace": namespace, "name": name, "facets": facets })
}

/// The tables of a kind of artifact.
fn tables(kind: ArtifactKind) -> &'static [Table] {
    match kind {
        ArtifactKind::Dataset => &[Table::Images, Table::Texts, Table::Pairs, Table::Quarantine],
        ArtifactKind::Audit => &[Table::Leaks],
        ArtifactKind::Embeddings => &[Table::Embeddings],
        ArtifactKind::Scores => &[Table::Scores, Table::Outcomes, Table::Rankings, Table::Qrels],
        ArtifactKind::Checkpoint | ArtifactKind::Index | ArtifactKind::Report => &[],
    }
}

/// A table as a field that holds its columns.
fn table_field(table: Table) -> Value {
    let described = table.schema_json();
    let columns = described.get("columns").and_then(Value::as_array).cloned().unwrap_or_default();
    let fields: Vec<Value> =
        columns.iter().map(|column| json!({ "name": column["name"], "type": column["type"] })).collect();
    json!({ "name": table.name(), "type": "table", "fields": fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_named_as_the_specification_names_them() {
        let place =
            |namespace: &str, folder: &str| Place { namespace: namespace.to_owned(), folder: folder.to_owned() };
        assert_eq!(Place::of("s3://bucket/a/b/"), place("s3://bucket", "a/b"));
        assert_eq!(Place::of("gs://bucket"), place("gs://bucket", ""));
        assert_eq!(Place::of("s3://key:secret@bucket/a?x=y"), place("s3://bucket", "a"));
        assert_eq!(Place::of("file:///srv/tuwen"), place("file", "/srv/tuwen"));
        assert!(Place::of("artifacts").folder.ends_with("/artifacts"));
        assert_eq!(Place::of("s3://bucket").below("releases/x"), "releases/x");
    }
}
