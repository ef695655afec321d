#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hcp_identity_fuzz::admission(data));
