//! What holds for every input, whatever its bytes. The libFuzzer targets and `tests/fuzz.rs` call the same functions.
#![expect(clippy::unwrap_used, reason = "a panic is how a broken promise is reported")]

use std::{
    collections::{BTreeMap, HashSet},
    io::{BufRead, BufReader},
    sync::{Arc, LazyLock},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hcp_identity::{
    admission::{ControlPlane, ControlPlanes, Held, Outcome, identities::Question, review},
    component::COMPONENTS,
    condition,
    finding::{Finding, Reason},
    input::{Located, Role, Rules},
    manifest::{Content, Documents, Format, Limits, Node, Object, Position, Unreadable, Writer},
    plan::{Plan, plan},
    provision::{FederatedIdentity, Federation},
    render::{Options, Rendered, Renderer, Summary},
    settings::{PARAMETERS, Settings, SettingsFile},
    validate::Validator,
    workload_identity::{self, Lookup, Paths, ServiceAccount},
};
use serde_json::Value;

/// Small enough that inputs of a few kilobytes meet every limit.
const STRICT: Limits = Limits { document_bytes: 4096, object_bytes: 64 << 10, alias_bytes: 16 << 10, nesting: 20 };

/// What was written is read back with room for what writing adds: a `List` around the objects, indentation, quotes.
const ROOMY: Limits = Limits { document_bytes: 1 << 30, object_bytes: 1 << 30, alias_bytes: 0, nesting: 110 };

/// Objects that aliases have blown up past this are not written out again: it only takes time.
const WORTH_WRITING: usize = 1 << 20;

/// What the reader estimates a node to cost beside its text.
const NODE_BYTES: usize = 96;

const KEY_VAULT_USER: &str = "2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11";

static ACCOUNT: LazyLock<Lookup> =
    LazyLock::new(|| Lookup::Found(ServiceAccount::new([("azure.workload.identity/client-id", "client")])));

static IDENTITIES: LazyLock<workload_identity::Settings> =
    LazyLock::new(|| workload_identity::Settings::new("tenant", "", "", Paths::V1_6).unwrap());

static SETTINGS: LazyLock<Arc<Settings>> =
    LazyLock::new(|| Arc::new(Settings::new(Some(KEY_VAULT_USER), SettingsFile::default()).unwrap()));

/// Reads the bytes as a stream of manifests.
pub fn manifest(data: &[u8]) {
    let documents = read(data, Limits::default());
    let in_small_pieces = read(BufReader::with_capacity(3, data), Limits::default());
    assert_eq!(documents, in_small_pieces, "what is read depends on how the bytes arrive");
    check_places(data, &documents);
    check_limits(&documents, Limits::default());
    let strict = read(data, STRICT);
    check_places(data, &strict);
    check_limits(&strict, STRICT);
    for document in strict.iter().filter(|document| document.objects.is_ok()) {
        let same = |other: &&Read| other.start == document.start;
        let lax = documents.iter().find(same).map(|other| &other.objects);
        assert_eq!(lax, Some(&document.objects), "a limit changed what was read instead of refusing it");
    }
    let objects: Vec<&Object> = documents.iter().filter_map(|read| read.objects.as_ref().ok()).flatten().collect();
    if objects.iter().map(|object| cost(&object.node)).sum::<usize>() <= WORTH_WRITING {
        let values: Vec<Value> = objects.iter().map(|object| object.node.to_value()).collect();
        check_yaml_reads_back(&values);
        check_json_reads_back(&values);
    }
}

/// Renders and validates the bytes.
pub fn render(data: &[u8]) {
    let rendered = render_sources(&[data], Limits::default());
    assert_eq!(rendered, render_sources(&[data], Limits::default()), "two runs differ");
    let objects: Vec<Value> = rendered.objects.iter().map(|object| serde_json::to_value(object).unwrap()).collect();
    check_yaml_reads_back(&objects);
    rendered.objects.iter().for_each(check_provider_class);
    check_findings(&rendered.findings);
    check_validate_agrees(data, &rendered.findings);
    check_federation(data);
    check_order_does_not_matter(data);
    check_idempotence(data, &rendered.objects);
}

/// Answers the bytes as what the API server asks about a pod, at both entries.
pub fn admission(data: &[u8]) {
    identities(data);
    wiring(data);
}

/// A pod that asks for a workload identity is given one, or denied: nothing else of it changes.
fn identities(data: &[u8]) {
    let Ok(question) = Question::read(data) else { return };
    let answer = |question: &Question| question.answer(&ACCOUNT, &IDENTITIES);
    let (first, again) = (answer(&question), answer(&question));
    assert_eq!((&first.body, first.outcome), (&again.body, again.outcome), "two answers differ");
    let response = &first.body["response"];
    assert_eq!(response["allowed"] == false, first.outcome == Outcome::Denied);
    assert_eq!(response.get("patch").is_some(), first.outcome == Outcome::Identified);
    let Some(patch) = response["patch"].as_str() else { return };
    let Ok(mut question) = serde_json::from_slice::<Value>(data) else { return };
    let patch: json_patch::Patch = serde_json::from_slice(&BASE64_STANDARD.decode(patch).unwrap()).unwrap();
    json_patch::patch(&mut question["request"]["object"], &patch).unwrap();
    let again = answer(&Question::read(question.to_string().as_bytes()).unwrap());
    assert_eq!(again.outcome, Outcome::Unchanged, "an identity is not given once: {}", again.body);
}

fn wiring(data: &[u8]) {
    let answer = match review(data, &*CONTROL_PLANES) {
        Ok(answer) => answer,
        Err(refusal) => {
            let line = refusal.to_string();
            assert!(line.len() <= MOST_SAID && !line.contains(char::is_control), "{line:?}");
            return;
        }
    };
    let again = review(data, &*CONTROL_PLANES).unwrap();
    assert_eq!((&answer.body, answer.outcome), (&again.body, again.outcome), "two answers differ");
    let response = &answer.body["response"];
    assert_eq!(response["allowed"], true, "a pod is denied");
    check_words(response);
    let patch = response["patch"].as_str();
    assert_eq!(patch.is_some(), response.get("patchType").is_some());
    // What is not looked at need not even be JSON that serde_json can hold.
    let Ok(mut question) = serde_json::from_slice::<Value>(data) else { return };
    assert_eq!(response["uid"], question["request"]["uid"]);
    let Some(patch) = patch else {
        assert_ne!(answer.outcome, Outcome::Wired, "wired without a patch");
        return;
    };
    assert!([Outcome::Wired, Outcome::Held].contains(&answer.outcome), "{:?} with a patch", answer.outcome);
    let before = question["request"]["object"].clone();
    let patch: json_patch::Patch = serde_json::from_slice(&BASE64_STANDARD.decode(patch).unwrap()).unwrap();
    assert!(!patch.is_empty());
    json_patch::patch(&mut question["request"]["object"], &patch).unwrap();
    check_only_appended(&before, &question["request"]["object"]);
    let again = review(question.to_string().as_bytes(), &*CONTROL_PLANES).unwrap();
    assert_eq!(again.body["response"].get("patch"), None, "wiring is not idempotent");
}

/// Longer than anything that is to be said at once.
const MOST_SAID: usize = 1024;

/// `clusters-prod` is wired, `clusters-held` but for every second component, and `clusters-paused` is left alone.
struct Three(Arc<Plan>);

static CONTROL_PLANES: LazyLock<Three> = LazyLock::new(|| {
    let yaml = include_bytes!("../testdata/render/a-hosted-cluster-with-all-nine-identities/input.yaml");
    let cluster = values(yaml).remove(0);
    Three(Arc::new(plan(&serde_json::from_value(cluster).unwrap(), &SETTINGS).plan.unwrap()))
});

impl ControlPlanes for Three {
    fn control_plane(&self, namespace: &str) -> ControlPlane {
        let plan = Arc::clone(&self.0);
        let held = Held { reason: condition::Reason::CredentialFailed, message: "the credential has ended".into() };
        match namespace {
            "clusters-prod" => ControlPlane::Wired { plan, held: BTreeMap::new() },
            "clusters-held" => {
                let held = COMPONENTS.iter().step_by(2).map(|component| (component.id, held.clone())).collect();
                ControlPlane::Wired { plan, held }
            }
            "clusters-paused" => {
                ControlPlane::LeftAlone { reason: condition::Reason::Paused, message: "until noon".into() }
            }
            _ => ControlPlane::Unknown,
        }
    }
}

fn check_words(response: &Value) {
    let warnings = response["warnings"].as_array().map_or(&[][..], Vec::as_slice);
    let annotations = response["auditAnnotations"].as_object().into_iter().flat_map(|all| all.values());
    for words in warnings.iter().chain(annotations) {
        assert!(words.as_str().is_some_and(|words| words.len() <= MOST_SAID), "{words}");
    }
    assert!(warnings.len() <= 10, "{warnings:?}");
}

/// Nothing is another than it was, but that lists have become longer or were not there.
fn check_only_appended(before: &Value, after: &Value) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            before.iter().for_each(|(key, value)| check_only_appended(value, &after[key]));
            let added = after.iter().filter(|(key, _)| !before.contains_key(*key));
            added.for_each(|(key, value)| assert!(value.is_array(), "{key} was added"));
        }
        (Value::Array(before), Value::Array(after)) => {
            assert!(before.len() <= after.len(), "a list is shorter");
            before.iter().zip(after).for_each(|(before, after)| check_only_appended(before, after));
        }
        (Value::Null, Value::Array(_)) => {}
        (before, after) => assert_eq!(before, after, "a value is another"),
    }
}

/// What came of one document.
#[derive(Debug, PartialEq)]
struct Read {
    number: usize,
    start: Position,
    objects: Result<Vec<Object>, Unreadable>,
}

fn read(source: impl BufRead, limits: Limits) -> Vec<Read> {
    let mut documents = Documents::new(source, limits);
    let mut all = Vec::new();
    while let Some(document) = documents.next_document().unwrap() {
        let mut objects = Vec::new();
        let read = document.objects(&limits, &mut |object| objects.push(object));
        all.push(Read { number: document.number, start: document.start(), objects: read.map(|()| objects) });
    }
    all
}

fn check_places(data: &[u8], documents: &[Read]) {
    let lines = 1 + line_breaks(data);
    let columns = 2 + data.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap_or(0);
    let check = |at: Position| {
        assert!((1..=lines).contains(&(at.line as usize)), "line {} of {lines}", at.line);
        assert!((1..=columns).contains(&(at.column as usize)), "column {} of {columns}", at.column);
    };
    for (index, document) in documents.iter().enumerate() {
        assert_eq!(document.number, index + 1, "documents are not numbered one by one");
        check(document.start);
        match &document.objects {
            Ok(objects) => objects.iter().for_each(|object| each(&object.node, &mut |node| check(node.at))),
            Err(problem) => {
                check(problem.at);
                assert!(!problem.message.contains(drives_a_terminal), "{:?}", problem.message);
            }
        }
    }
    assert!(documents.is_sorted_by(|a, b| a.start.line < b.start.line), "documents do not start one after another");
}

/// Control characters, and what changes the direction of the text or cannot be seen.
fn drives_a_terminal(character: char) -> bool {
    !matches!(character, '"' | '\'' | '\\') && !character.escape_debug().eq([character])
}

/// Lines end as YAML has it: with a line feed, a carriage return, or both.
fn line_breaks(data: &[u8]) -> usize {
    let line_feeds = data.iter().filter(|byte| **byte == b'\n').count();
    let lone_returns =
        data.iter().zip(data.iter().skip(1).chain(Some(&0))).filter(|pair| *pair.0 == b'\r' && *pair.1 != b'\n');
    line_feeds + lone_returns.count()
}

fn check_limits(documents: &[Read], limits: Limits) {
    for objects in documents.iter().filter_map(|document| document.objects.as_ref().ok()) {
        for Object { node, .. } in objects {
            assert!(depth(node) <= limits.nesting, "nested {} deep", depth(node));
            assert!(cost(node) <= limits.object_bytes, "an object of {} bytes", cost(node));
        }
        // No escape is shorter than a quarter of what it stands for; the object is the list that items are typed by.
        let justified = 4 * limits.document_bytes + limits.alias_bytes + limits.object_bytes;
        let text: usize = objects.iter().map(|object| text_bytes(&object.node)).sum();
        assert!(text <= justified, "{text} bytes of text from one document");
    }
}

fn depth(node: &Node) -> usize {
    1 + children(node).map(depth).max().unwrap_or(0)
}

fn cost(node: &Node) -> usize {
    let mut nodes = 0;
    each(node, &mut |_| nodes += 1);
    nodes * NODE_BYTES + text_bytes(node)
}

fn text_bytes(node: &Node) -> usize {
    let mut bytes = 0;
    each(node, &mut |node| match &node.content {
        Content::String(text) => bytes += text.len(),
        Content::Mapping(entries) => bytes += entries.iter().map(|entry| entry.key.len()).sum::<usize>(),
        _ => {}
    });
    bytes
}

fn each(node: &Node, check: &mut dyn FnMut(&Node)) {
    check(node);
    children(node).for_each(|child| each(child, check));
}

fn children(node: &Node) -> Box<dyn Iterator<Item = &Node> + '_> {
    match &node.content {
        Content::Sequence(items) => Box::new(items.iter()),
        Content::Mapping(entries) => Box::new(entries.iter().map(|entry| &entry.value)),
        _ => Box::new(std::iter::empty()),
    }
}

fn check_yaml_reads_back(objects: &[Value]) {
    // Alone in a document a null is nothing, and an object with `items` is a list of objects, of none where they are null.
    let is_list = |object: &Value| object.get("items").is_some_and(|items| items.is_array() || items.is_null());
    let alone = |object: &&Value| !object.is_null() && !is_list(object);
    let objects: Vec<&Value> = objects.iter().filter(alone).collect();
    let yaml = write(&objects, Format::Yaml);
    let text = std::str::from_utf8(&yaml).unwrap();
    let unprintable = text.chars().find(|character| !is_printable(*character));
    assert_eq!(unprintable, None, "written unescaped in:\n{text}");
    let back = values(&yaml);
    assert_eq!(back.iter().collect::<Vec<_>>(), objects, "does not read back:\n{text}");
}

fn check_json_reads_back(objects: &[Value]) {
    let json = write(&objects.iter().collect::<Vec<_>>(), Format::Json);
    // Items that are no objects of a cluster come after those that are.
    let is_object =
        |value: &&Value| ["kind", "apiVersion"].iter().all(|key| value.get(key).is_some_and(Value::is_string));
    let (first, last): (Vec<&Value>, Vec<&Value>) = objects.iter().partition(is_object);
    let back = values(&json);
    let expected = [first, last].concat();
    assert_eq!(back.iter().collect::<Vec<_>>(), expected, "does not read back:\n{}", String::from_utf8_lossy(&json));
}

fn write(objects: &[&Value], format: Format) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, format);
    objects.iter().for_each(|object| writer.write(object).unwrap());
    writer.finish().unwrap();
    bytes
}

fn values(source: &[u8]) -> Vec<Value> {
    let documents = read(source, ROOMY);
    documents
        .iter()
        .flat_map(|document| document.objects.as_ref().unwrap())
        .map(|object| object.node.to_value())
        .collect()
}

/// Printable in YAML 1.2, which lets a terminal's control sequences through no more than a reader's.
fn is_printable(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\u{20}'..='\u{7e}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[derive(Debug, PartialEq)]
struct Run {
    objects: Vec<Rendered>,
    findings: Vec<Finding>,
    summary: Summary,
}

fn render_sources(sources: &[&[u8]], limits: Limits) -> Run {
    let mut findings = Vec::new();
    let mut objects = Vec::new();
    let mut add = |finding| findings.push(finding);
    let options = Options { azure_cluster_identity: true, limits, ..Options::new(Arc::clone(&SETTINGS)) };
    let mut renderer = Renderer::new(options, &mut add);
    for source in sources {
        renderer.read(&"fuzz.yaml".into(), *source).unwrap();
    }
    let emit = &mut |object: &Rendered| {
        objects.push(object.clone());
        Ok(())
    };
    let summary = renderer.finish(emit).unwrap();
    assert_eq!(objects.len(), summary.provider_classes + summary.azure_cluster_identities + summary.workloads);
    Run { objects, findings, summary }
}

fn validate(data: &[u8], rules: Rules) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |finding| findings.push(finding);
    let mut validator = Validator::new(rules, Limits::default(), &mut add);
    validator.read(&"fuzz.yaml".into(), data).unwrap();
    validator.finish();
    findings
}

fn check_provider_class(object: &Rendered) {
    let Rendered::ProviderClass(class) = object else { return };
    let parameters: Vec<&str> = class.spec.parameters.keys().map(String::as_str).collect();
    assert_eq!(parameters, PARAMETERS);
    let secrets = values(class.spec.parameters["objects"].as_bytes());
    let [Value::Object(objects)] = &secrets[..] else { unreachable!("{secrets:?}") };
    assert!(objects.keys().eq(["array"]), "{objects:?}");
    for secret in objects["array"].as_array().unwrap() {
        let fields = values(secret.as_str().unwrap().as_bytes());
        let [Value::Object(fields)] = &fields[..] else { unreachable!("{fields:?}") };
        assert!(fields.keys().eq(["objectName", "objectEncoding", "objectType"]), "{fields:?}");
    }
}

fn check_findings(findings: &[Finding]) {
    for finding in findings {
        let line = finding.to_string();
        assert!(!line.contains(drives_a_terminal), "a finding drives the terminal: {line:?}");
        serde_json::to_string(finding).unwrap();
    }
}

fn check_validate_agrees(data: &[u8], rendered: &[Finding]) {
    let all = validate(data, Rules::All);
    check_findings(&all);
    let refused: Vec<&Finding> = all.iter().filter(|finding| finding.is_error()).collect();
    let says = |finding: &&Finding| {
        finding.is_error() && (!only_render_refuses(finding.problem.reason) || refused.contains(finding))
    };
    let rendered: Vec<&Finding> = rendered.iter().filter(says).collect();
    assert_eq!(rendered, refused, "render and validate refuse different things");
    for finding in validate(data, Rules::CrdOnly).iter().filter(|finding| finding.is_error()) {
        assert!(all.contains(finding), "the CRD alone refuses more: {finding}");
    }
}

/// `azure plan` refuses what validate refuses, and what is left of it Azure takes.
fn check_federation(data: &[u8]) {
    let mut findings = Vec::new();
    let mut add = |finding| findings.push(finding);
    let mut federation = Federation::new(&mut add);
    federation.read(&"fuzz.yaml".into(), data).unwrap();
    let (identities, _) = federation.finish();
    check_findings(&findings);
    let only_planned = [Reason::TooManyFederatedCredentials, Reason::FederatedCredentialConflict];
    findings.retain(|finding| finding.is_error() && !only_planned.contains(&finding.problem.reason));
    let refused: Vec<_> = validate(data, Rules::All).into_iter().filter(Finding::is_error).collect();
    assert_eq!(findings, refused, "azure plan and validate refuse different things");
    for FederatedIdentity { federated_credentials, .. } in &identities {
        let count = federated_credentials.len();
        assert!((1..=FederatedIdentity::MOST_CREDENTIALS).contains(&count), "{federated_credentials:?}");
        let names: HashSet<_> = federated_credentials.iter().map(|one| one.name.to_ascii_lowercase()).collect();
        let pairs: HashSet<_> =
            federated_credentials.iter().map(|one| (one.issuer.to_string(), &one.subject)).collect();
        assert!((names.len(), pairs.len()) == (count, count), "{federated_credentials:?}");
    }
}

/// What concerns workloads and the AzureClusterIdentity, which validate does not look at.
fn only_render_refuses(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::HeldWorkloadsTooLarge
            | Reason::DuplicateWorkload
            | Reason::CloudWithoutCapzType
            | Reason::EmptyTenantID
            | Reason::InvalidPodSpec
            | Reason::MissingContainer
            | Reason::VolumeConflict
            | Reason::MountPathConflict
            | Reason::MountConflict
            | Reason::EnvConflict
    )
}

/// Documents in another order, each a source of its own.
fn check_order_does_not_matter(data: &[u8]) {
    let separators = data.windows(5).enumerate().filter(|(_, window)| window == b"\n---\n").map(|(at, _)| at + 1);
    let cuts: Vec<usize> = [0].into_iter().chain(separators).chain([data.len()]).collect();
    let mut sources: Vec<&[u8]> = cuts.windows(2).map(|cut| &data[cut[0]..cut[1]]).collect();
    if sources.len() < 2 {
        return;
    }
    let forwards = render_sources(&sources, Limits::default());
    sources.reverse();
    let backwards = render_sources(&sources, Limits::default());
    assert_eq!(forwards.objects, backwards.objects, "the order of the documents matters");
}

/// Workloads that have been wired are wired: with their HostedClusters they come out as they went in.
fn check_idempotence(data: &[u8], rendered: &[Rendered]) {
    let wired = |object: &Rendered| match object {
        Rendered::Workload(workload) => Some(workload.clone()),
        _ => None,
    };
    let workloads: Vec<Value> = rendered.iter().filter_map(wired).collect();
    let hosted_clusters = hosted_clusters(data);
    let sources =
        [&workloads, &hosted_clusters].map(|objects| write(&objects.iter().collect::<Vec<_>>(), Format::Json));
    let again = render_sources(&[&sources[0], &sources[1]], ROOMY);
    let again: Vec<Value> = again.objects.iter().filter_map(wired).collect();
    // Two of one name may change places.
    let texts = |values: &[Value]| values.iter().map(ToString::to_string).collect::<HashSet<_>>();
    assert_eq!(texts(&again), texts(&workloads), "wiring is not idempotent");
    assert_eq!(again.len(), workloads.len());
}

fn hosted_clusters(data: &[u8]) -> Vec<Value> {
    let mut all = Vec::new();
    for document in read(data, Limits::default()) {
        for object in document.objects.unwrap_or_default() {
            let located = Located { source: "fuzz.yaml".into(), document: document.number, object };
            if located.role() == Role::HostedCluster {
                all.push(located.node().to_value());
            }
        }
    }
    all
}
