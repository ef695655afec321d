use serde_json::{Value, json};

use super::{Denial, Lookup, Mutation, Paths, ServiceAccount, Settings, SettingsError, mutate, service_account_name};

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const EXPIRATION: &str = "azure.workload.identity/service-account-token-expiration";

fn settings(paths: Paths) -> Settings {
    Settings::new(TENANT, "", "", paths).expect("settings")
}

fn account() -> Lookup {
    Lookup::Found(ServiceAccount::new([("azure.workload.identity/client-id", "client")]))
}

fn pod() -> Value {
    json!({
        "metadata": {"name": "web-0", "namespace": "shop"},
        "spec": {"serviceAccountName": "web", "containers": [{"name": "web", "image": "web"}]},
    })
}

fn mutated_with(pod: &Value, account: &Lookup, settings: &Settings) -> Result<Mutation, Denial> {
    mutate(pod, "shop", account, settings)
}

fn mutated(pod: &Value) -> Result<Mutation, Denial> {
    mutated_with(pod, &account(), &settings(Paths::V1_6))
}

fn applied(pod: &Value, mutation: &Mutation) -> Value {
    let mut pod = pod.clone();
    let patch: json_patch::Patch = serde_json::from_value(json!(mutation.patch)).expect("a JSON patch");
    json_patch::patch(&mut pod, &patch).expect("it applies");
    pod
}

fn after(pod: &Value) -> Value {
    applied(pod, &mutated(pod).expect("it is admitted"))
}

fn environment(container: &Value) -> Vec<(&str, &str)> {
    let pairs = container["env"].as_array().into_iter().flatten();
    pairs.map(|env| (env["name"].as_str().expect("a name"), env["value"].as_str().unwrap_or_default())).collect()
}

fn denial(pod: &Value, account: &Lookup) -> String {
    let denial = mutated_with(pod, account, &settings(Paths::V1_6)).expect_err("it is denied");
    assert_eq!(denial.code, 400);
    denial.message
}

#[test]
fn a_container_finds_its_token_by_its_environment() {
    let pod = after(&pod());
    let expected = [
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/azure/wi/token/azure-identity-token"),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"),
    ];
    assert_eq!(environment(&pod["spec"]["containers"][0]), expected);
    let volume = &pod["spec"]["volumes"][0];
    assert_eq!(volume["name"], pod["spec"]["containers"][0]["volumeMounts"][0]["name"]);
    let token = json!({"audience": "api://AzureADTokenExchange", "expirationSeconds": 3600, "path": "token/azure-identity-token"});
    assert_eq!(volume["projected"], json!({"sources": [{"serviceAccountToken": token}]}));
}

#[test]
fn a_pod_that_was_mutated_needs_no_patch() {
    for paths in [Paths::V1_6, Paths::Older] {
        let settings = settings(paths);
        let once = applied(&pod(), &mutated_with(&pod(), &account(), &settings).expect("admitted"));
        let again = mutated_with(&once, &account(), &settings).expect("admitted");
        assert_eq!(again, Mutation::default(), "{paths:?}");
    }
}

/// `printf web-0 | sha256sum`, and `printf 'web- (prefix)' | sha256sum`.
#[test]
fn the_volume_is_named_after_the_pod_or_its_prefix() {
    let name = |metadata: Value| {
        let mut pod = pod();
        pod["metadata"] = metadata;
        after(&pod)["spec"]["volumes"][0]["name"].as_str().expect("a name").to_owned()
    };
    let named = name(json!({"name": "web-0", "generateName": "web-"}));
    assert_eq!(named, "azure-workload-identity-reserved-1ae6fac6e0a6c45234c7f9a125d492");
    let generated = name(json!({"generateName": "web-"}));
    assert_eq!(generated, "azure-workload-identity-reserved-2f3cfc2eb6118051c2b0e512de0d8e");
    assert_eq!(named.len(), 63);
}

#[test]
fn a_field_that_is_younger_than_the_original_stays() {
    let mut pod = pod();
    pod["spec"]["fieldOfTheFuture"] = json!({"a": [1]});
    assert_eq!(after(&pod)["spec"]["fieldOfTheFuture"], json!({"a": [1]}));
}

#[test]
fn earlier_paths_leave_what_a_pod_brings_itself() {
    let mut pod = pod();
    let token = json!({"audience": "mine", "expirationSeconds": 7200, "path": "azure-identity-token"});
    let volume = json!({"name": "own", "projected": {"sources": [{"serviceAccountToken": token}]}});
    let mount = json!({"name": "azure-identity-token", "mountPath": "/elsewhere"});
    pod["spec"]["volumes"] = json!([volume]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([mount]);
    let older = settings(Paths::Older);
    let pod = applied(&pod, &mutated_with(&pod, &account(), &older).expect("admitted"));
    assert_eq!(pod["spec"]["volumes"], json!([volume]));
    assert_eq!(pod["spec"]["containers"][0]["volumeMounts"], json!([mount]));
    let file = ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/azure/tokens/azure-identity-token");
    assert!(environment(&pod["spec"]["containers"][0]).contains(&file));
}

#[test]
fn earlier_paths_have_a_volume_of_one_name() {
    let older = settings(Paths::Older);
    let pod = applied(&pod(), &mutated_with(&pod(), &account(), &older).expect("admitted"));
    assert_eq!(pod["spec"]["volumes"][0]["name"], "azure-identity-token");
    let mount = json!({"mountPath": "/var/run/secrets/azure/tokens", "name": "azure-identity-token", "readOnly": true});
    assert_eq!(pod["spec"]["containers"][0]["volumeMounts"], json!([mount]));
}

#[test]
fn a_pod_without_a_service_account_runs_as_default() {
    assert_eq!(service_account_name(&json!({"spec": {}})), "default");
    assert_eq!(service_account_name(&json!({"spec": {"serviceAccountName": ""}})), "default");
    assert_eq!(service_account_name(&pod()), "web");
}

#[test]
fn a_pod_whose_service_account_is_not_known_is_denied() {
    assert_eq!(denial(&pod(), &Lookup::Missing), "serviceaccounts \"web\" not found");
    assert_eq!(denial(&pod(), &Lookup::Failed("no route to host".to_owned())), "no route to host");
}

#[test]
fn an_expiration_out_of_bounds_is_denied() {
    let said = |text: &str| {
        let mut pod = pod();
        pod["metadata"]["annotations"] = json!({EXPIRATION: text});
        pod
    };
    for allowed in ["3600", "86400", "+7200", ""] {
        after(&said(allowed));
    }
    for refused in [3599, 86401, 0, -1] {
        let expected = format!("token expiration {refused} not valid. Expected value to be between 3600 and 86400");
        assert_eq!(denial(&said(&refused.to_string()), &account()), expected);
    }
    let unreadable =
        [("1h", "invalid syntax"), ("99999999999999999999", "value out of range"), (" 3600", "invalid syntax")];
    for (text, what) in unreadable {
        assert_eq!(denial(&said(text), &account()), format!("strconv.ParseInt: parsing {text:?}: {what}"));
    }
}

#[test]
fn what_is_no_pod_is_denied() {
    type Tweak = fn(&mut Value);
    let broken: [(Tweak, &str); 7] = [
        (|pod| pod["spec"] = Value::Null, "spec is no object"),
        (|pod| pod["metadata"] = json!("web"), "metadata is no object"),
        (|pod| pod["spec"]["containers"] = json!({}), "/spec/containers is no list"),
        (|pod| pod["spec"]["initContainers"] = json!([1]), "/spec/initContainers/0 is no object"),
        (|pod| pod["spec"]["containers"][0]["env"] = json!("A=B"), "/spec/containers/0/env is no list"),
        (|pod| pod["spec"]["containers"][0]["volumeMounts"] = json!(1), "/spec/containers/0/volumeMounts is no list"),
        (|pod| pod["spec"]["volumes"] = json!(true), "/spec/volumes is no list"),
    ];
    for (break_it, expected) in broken {
        let mut pod = pod();
        break_it(&mut pod);
        assert_eq!(denial(&pod, &account()), format!("the pod cannot be read: {expected}"));
    }
}

#[test]
fn lists_that_are_null_or_empty_are_filled() {
    for list in [Value::Null, json!([])] {
        let mut pod = pod();
        pod["spec"]["volumes"] = list.clone();
        pod["spec"]["containers"][0]["env"] = list.clone();
        pod["spec"]["containers"][0]["volumeMounts"] = list;
        let pod = after(&pod);
        assert_eq!(environment(&pod["spec"]["containers"][0]).len(), 4);
        assert_eq!(pod["spec"]["volumes"].as_array().map(Vec::len), Some(1));
    }
}

#[test]
fn a_sidecar_that_is_asked_for_is_warned_about() {
    let mut asking = pod();
    asking["metadata"]["annotations"] = json!({"azure.workload.identity/inject-proxy-sidecar": "false"});
    asking["spec"]["hostNetwork"] = json!(true);
    let mutation = mutated(&asking).expect("admitted");
    assert_eq!(mutation.patch, mutated(&pod()).expect("admitted").patch);
    assert_eq!(mutation.warnings.len(), 1);
    // Longer ones are cut by the API server.
    assert!(mutation.warnings[0].len() <= 256 && mutation.warnings[0].contains("no proxy sidecar"));
}

#[test]
fn a_pod_is_given_the_namespace_of_its_request() {
    for metadata in [json!({"name": "web-0"}), json!({"name": "web-0", "namespace": "other"}), Value::Null] {
        let mut pod = pod();
        pod["metadata"] = metadata;
        assert_eq!(after(&pod)["metadata"]["namespace"], "shop");
    }
}

#[test]
fn clouds_have_their_own_authority() {
    let authority = |cloud| {
        let settings = Settings::new(TENANT, cloud, "", Paths::V1_6).expect("a known cloud");
        let pod = applied(&pod(), &mutated_with(&pod(), &account(), &settings).expect("admitted"));
        environment(&pod["spec"]["containers"][0])[3].1.to_owned()
    };
    for public in ["", "AzurePublicCloud", "azurecloud", "AZUREPUBLICCLOUD"] {
        assert_eq!(authority(public), "https://login.microsoftonline.com/");
    }
    for government in ["AzureUSGovernmentCloud", "AzureUSGovernment"] {
        assert_eq!(authority(government), "https://login.microsoftonline.us/");
    }
}

#[test]
fn settings_without_a_tenant_or_a_known_cloud_are_refused() {
    assert_eq!(Settings::new("", "", "", Paths::V1_6), Err(SettingsError::NoTenant));
    for cloud in ["AzureMoonCloud", "AzureStackCloud"] {
        let error = Settings::new(TENANT, cloud, "", Paths::V1_6).expect_err("it is refused").to_string();
        let expected =
            "known are AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud, AzureGermanCloud, AzureBleuCloud";
        assert_eq!(error, format!("cloud {cloud:?} is not known; {expected}"));
    }
}
