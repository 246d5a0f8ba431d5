use super::*;

#[test]
fn the_table_is_sorted_so_that_every_name_is_found() {
    for (name, listed) in TABLE {
        let found = asset(name).expect("a listed name is found");
        assert_eq!(found.bytes.as_ptr(), listed.bytes.as_ptr(), "{name}");
    }
    assert!(TABLE.is_sorted_by_key(|(name, _)| *name));
}

#[test]
fn names_that_are_not_files_of_the_app_are_nothing() {
    for name in [
        "",
        "/",
        "/index.html",
        "index.html/",
        "../Cargo.toml",
        "assets",
        "assets/",
        "index.html.br",
        "INDEX.HTML",
    ] {
        assert!(asset(name).is_none(), "{name}");
    }
}

#[test]
fn there_is_always_a_page() {
    let page = index();
    assert!(page.bytes.starts_with(b"<!doctype html>"));
    assert_eq!(page.content_type, "text/html; charset=utf-8");
    assert!(!page.immutable);
    assert_eq!(is_built(), asset("index.html").is_some());
}

#[test]
fn only_names_with_a_hash_in_them_are_kept_for_good() {
    for (name, file) in TABLE {
        assert_eq!(file.immutable, name.starts_with("assets/"), "{name}");
        if file.immutable {
            // index-Dz_qkI1S.js: eight characters of hash, which may be dashes too.
            let (stem, _) = name.rsplit_once('.').expect("an extension");
            let dash = stem.len().checked_sub(9).map(|at| stem.as_bytes()[at]);
            assert_eq!(dash, Some(b'-'), "{name}");
        }
    }
}

#[test]
fn a_compressed_copy_is_worth_sending() {
    for (name, file) in TABLE {
        for copy in [file.brotli, file.gzip].into_iter().flatten() {
            assert!(copy.len() < file.bytes.len(), "{name}");
        }
        if let Some(gzip) = file.gzip {
            assert!(gzip.starts_with(&[0x1f, 0x8b]), "{name}");
        }
    }
}

/// The policy would silently keep such things from working.
#[test]
fn the_page_has_no_inline_script_and_no_inline_style() {
    if !is_built() {
        return;
    }
    let page = std::str::from_utf8(index().bytes).expect("UTF-8");
    for (at, _) in page.match_indices("<script") {
        let tag = page[at..].split('>').next().expect("a tag");
        assert!(tag.contains(" src="), "{tag}");
    }
    assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" onload="));
    assert!(!page.contains("http://") && !page.contains("https://"));
}

#[test]
fn the_policy_is_one_line_that_names_no_other_host() {
    assert!(!CONTENT_SECURITY_POLICY.contains(['\n', '\r']));
    assert!(CONTENT_SECURITY_POLICY.starts_with("default-src 'none';"));
    assert_eq!(
        CONTENT_SECURITY_POLICY.matches("-eval'").count(),
        1,
        "WebAssembly's alone"
    );
    for never in ["-inline'", "http", "*"] {
        assert!(!CONTENT_SECURITY_POLICY.contains(never), "{never}");
    }
}
