//! Tables of URLs, accepted and refused.

use super::*;

fn strict(raw: &str) -> Result<String, UrlRefusal> {
    check_url(raw, &Policy::strict()).map(String::from)
}

fn test_mode(raw: &str) -> Result<String, UrlRefusal> {
    check_url(raw, &Policy { allow_loopback: true, ..Policy::strict() }).map(String::from)
}

#[test]
fn public_https_urls_pass_and_are_normalised() {
    for (raw, normal) in [
        ("https://shop.example/hook?a=1", "https://shop.example/hook?a=1"),
        ("HTTPS://Shop.Example:443", "https://shop.example/"),
        ("https://shop.example:8443/%0d%0a", "https://shop.example:8443/%0d%0a"),
        ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700::1111]/", "https://[2606:4700::1111]/"),
        ("https://a_b.shop.example/{x}|y?{z}|^", "https://a_b.shop.example/%7Bx%7D|y?{z}|^"),
        ("https://shop.example/a/@b", "https://shop.example/a/@b"),
    ] {
        assert_eq!(strict(raw).as_deref(), Ok(normal), "{raw}");
    }
}

#[test]
fn private_literals_are_refused_in_every_notation() {
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001::1]",
        "[fec0::1]",
        "[fc00::1]",
        "[5f00::1]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "169.254.169.254",
        "0xa9fea9fe",
        "100.64.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "198.18.0.1",
        "192.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "224.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "①②⑦.0.0.1",
    ] {
        assert_eq!(strict(&format!("https://{host}/")), Err(UrlRefusal::Address), "{host}");
    }
    assert!(matches!(strict("https://[fe80::1%25lo]/"), Err(UrlRefusal::Malformed(_))));
    assert!(matches!(strict("https://[fe80::1%lo]/"), Err(UrlRefusal::Malformed(_))));
    assert!(matches!(strict("https://1.2.3.256/"), Err(UrlRefusal::Malformed(_))));
}

#[test]
fn internal_names_are_refused() {
    for host in [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "app.localhost",
        "metadata.google.internal",
        "metadata.google.internal.",
        "metadata",
        "redis",
        "printer.local",
        "router.lan",
        "db.default.svc",
        "x.svc.cluster.local",
        "nas.home.arpa",
        "ｌｏｃａｌｈｏｓｔ",
        "%6cocalhost",
    ] {
        assert_eq!(strict(&format!("https://{host}/")), Err(UrlRefusal::InternalHost), "{host}");
    }
    let long_label = format!("{}.example", "a".repeat(64));
    let long_name = format!("{}example", "abcdefg.".repeat(32));
    for host in ["shop.example.", "shop..example", ".shop.example", "sh$op.example", &long_label, &long_name]
    {
        let refusal = strict(&format!("https://{host}/")).unwrap_err();
        assert!(matches!(refusal, UrlRefusal::HostForm | UrlRefusal::Malformed(_)), "{host}: {refusal:?}");
    }
}

#[test]
fn ports_outside_the_list_are_refused() {
    for port in [0, 1, 22, 25, 80, 444, 5432, 6379, 8080, 65535] {
        assert_eq!(strict(&format!("https://shop.example:{port}/")), Err(UrlRefusal::Port(port)));
    }
    assert!(matches!(strict("https://shop.example:65536/"), Err(UrlRefusal::Malformed(_))));
    assert!(matches!(strict("https://shop.example:-1/"), Err(UrlRefusal::Malformed(_))));
    let wider = Policy { extra_ports: vec![9443, 0], ..Policy::strict() };
    assert!(check_url("https://shop.example:9443/", &wider).is_ok());
    assert_eq!(check_url("https://shop.example:0/", &wider), Err(UrlRefusal::Port(0)));
}

#[test]
fn text_that_parsers_read_differently_is_refused() {
    for raw in ["https://host:443@127.0.0.1/", "https://a:b@shop.example/", "https://@shop.example/"] {
        assert_eq!(strict(raw), Err(UrlRefusal::Userinfo), "{raw}");
    }
    for raw in [
        " https://shop.example/",
        "https://shop.example/ ",
        "https://shop.example\\@127.0.0.1/",
        "https:\\\\shop.example/",
        "https://shop.exa\tmple/",
        "https://shop.example/a\nb",
        "https://shop.example/a\r\nHost: b",
        "https://shop.example/\0",
        "https://shop.example/a b",
        "https://shop.example/\u{a0}",
        "https://shop.example/\u{2028}",
        "https://shop.example/\u{7f}",
    ] {
        assert_eq!(strict(raw), Err(UrlRefusal::Character), "{raw:?}");
    }
    for raw in [
        "shop.example",
        "//shop.example/",
        "https:shop.example",
        "https:/shop.example",
        "file:///etc",
        "ftp://shop.example/",
        "javascript:alert(1)",
        "gopher://127.0.0.1:6379/",
        "data:,x",
    ] {
        assert_eq!(strict(raw), Err(UrlRefusal::Scheme), "{raw}");
    }
    for raw in ["https:///shop.example/", "https://", "https://?q"] {
        assert_eq!(strict(raw), Err(UrlRefusal::HostForm), "{raw}");
    }
    assert_eq!(strict("https://shop.example/#x"), Err(UrlRefusal::Fragment));
    assert_eq!(strict("https://shop.example/#"), Err(UrlRefusal::Fragment));
    assert_eq!(strict("http://shop.example/"), Err(UrlRefusal::PlainHttp));
}

#[test]
fn length_is_bounded_before_and_after_normalising() {
    let prefix = "https://shop.example/";
    let fits = format!("{prefix}{}", "a".repeat(MAX_URL_LENGTH - prefix.len()));
    assert_eq!(strict(&fits), Ok(fits.clone()));
    assert_eq!(strict(&format!("{fits}a")), Err(UrlRefusal::Length(2049)));
    assert_eq!(strict(""), Err(UrlRefusal::Length(0)));
    let grows = format!("{prefix}{}", "ü".repeat(1000));
    assert_eq!(strict(&grows), Err(UrlRefusal::Length(prefix.len() + 6000)));
}

#[test]
fn test_mode_reaches_loopback_and_nothing_else_private() {
    for url in [
        "http://127.0.0.1:3000/hook",
        "https://127.0.0.1:3000/hook",
        "http://127.9.9.9/",
        "http://[::1]:8080/",
        "http://localhost:4000/",
        "https://localhost/",
        "http://localhost/",
    ] {
        assert_eq!(test_mode(url).as_deref(), Ok(url));
        assert!(strict(url).is_err(), "{url}");
    }
    for url in [
        "http://127.0.0.1:22/",
        "http://localhost:25/",
        "http://localhost:0/",
        "http://localhost:6379/",
        "http://localhost:5432/",
        "http://[::1]:1023/",
    ] {
        assert!(matches!(test_mode(url), Err(UrlRefusal::Port(_))), "{url}");
    }
    for url in [
        "http://[::ffff:127.0.0.1]:3000/",
        "http://0.0.0.0:3000/",
        "http://10.0.0.1:3000/",
        "http://169.254.169.254/",
    ] {
        assert_eq!(test_mode(url), Err(UrlRefusal::Address), "{url}");
    }
    for url in ["http://localhost.:3000/", "http://app.localhost:3000/", "http://metadata.google.internal/"] {
        assert_eq!(test_mode(url), Err(UrlRefusal::InternalHost), "{url}");
    }
    assert_eq!(test_mode("http://shop.example/"), Err(UrlRefusal::PlainHttp));
    assert_eq!(test_mode("https://shop.example:3000/"), Err(UrlRefusal::Port(3000)));
}

#[test]
fn plain_http_to_public_hosts_needs_its_own_setting() {
    let policy = Policy { allow_http: true, ..Policy::strict() };
    assert!(check_url("http://shop.example/", &policy).is_ok());
    assert_eq!(check_url("http://shop.example:443/", &policy), Err(UrlRefusal::Port(443)));
    assert_eq!(check_url("http://127.0.0.1/", &policy), Err(UrlRefusal::Address));
}

#[test]
fn authority_keeps_the_host_as_given() {
    for (raw, authority) in [
        ("https://shop.example/", "shop.example"),
        ("https://shop.example:8443/", "shop.example:8443"),
        ("https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443"),
    ] {
        assert_eq!(parse(raw, &Policy::strict()).unwrap().authority(), authority);
    }
}
