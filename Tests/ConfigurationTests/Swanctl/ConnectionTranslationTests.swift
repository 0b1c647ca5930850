import Configuration
import Cryptography
import IKEv2
import IPsec
import Packets
import Testing

/// What the keys of a connection come to.
@Suite struct ConnectionTranslationTests {
    @Test func defaults() throws {
        let connection = try connection(sites())
        #expect(connection.name == "site")
        #expect(connection.localAddresses.isEmpty)
        #expect(connection.remoteAddresses.map(\.description) == ["192.0.2.2"])
        #expect(connection.proposals == IKEProposal.default)
        #expect(connection.localPort == 500 && connection.remotePort == 500)
        #expect(!connection.forcesEncapsulation && connection.fragmentation == .yes && connection.childless == .allow)
        #expect(connection.sendsCertificateRequest && connection.sendCertificate == .ifAsked)
        #expect(connection.unique == .no && connection.keyingTries == 1 && connection.dpdDelay == 0)
        #expect(connection.rekeyTime == 14_400 && connection.reauthenticationTime == 0)
        #expect(connection.overTime == 1440 && connection.randomTime == 1440)
        #expect(connection.local.method == .preSharedKey && connection.local.identity == nil)
        #expect(connection.remote.method == .preSharedKey && connection.remote.identity == .any)
    }

    @Test func everyKey() throws {
        let connection = try connection(
            """
            connections {
              site {
                version = 2
                local_addrs = 192.0.2.1, 198.51.100.0/24
                remote_addrs = peer.example.org, 203.0.113.1-203.0.113.9
                local_port = 4500
                remote_port = 1501
                proposals = aes256gcm16-prfsha384-ecp384, default
                encap = yes
                mobike = no
                dpd_delay = 2m
                fragmentation = accept
                childless = force
                send_certreq = no
                send_cert = always
                keyingtries = 0
                unique = replace
                reauth_time = 1d
                rekey_time = 8h
                over_time = 10m
                rand_time = 5m
                aggressive = no
                pull = yes
                local {
                  auth = psk
                  id = @moon.example.org
                  round = 0
                }
                remote {
                  auth = psk
                  id = *@example.org
                }
              }
            }
            """)
        #expect(connection.localAddresses.map(\.description) == ["192.0.2.1", "198.51.100.0/24"])
        #expect(connection.remoteAddresses.map(\.description) == ["peer.example.org", "203.0.113.1...203.0.113.9"])
        #expect(connection.localPort == 4500 && connection.remotePort == 1501)
        #expect(connection.proposals.first?.description == "aes256gcm16-prfsha384-ecp384")
        #expect(connection.proposals.count == 1 + IKEProposal.default.count)
        #expect(connection.forcesEncapsulation && connection.dpdDelay == 120 && connection.fragmentation == .accept)
        #expect(connection.childless == .force && !connection.sendsCertificateRequest)
        #expect(connection.sendCertificate == .always && connection.keyingTries == 0 && connection.unique == .replace)
        #expect(connection.reauthenticationTime == 86_400 && connection.rekeyTime == 28_800)
        #expect(connection.overTime == 600 && connection.randomTime == 300)
        #expect(connection.local.identity == .domainName("moon.example.org"))
        #expect(connection.remote.identity == .email("*@example.org"))
    }

    @Test(arguments: [
        ("reauth_time = 2h", 0, 7200, 720, 720), ("rekey_time = 1000", 1000, 0, 100, 100),
        ("rekey_time = 1000\nover_time = 30", 1000, 0, 30, 30), ("rekey_time = 0", 0, 0, 0, 0),
        ("rekey_time = 100\nover_time = 1h", 100, 0, 3600, 50), ("rekey_time = 100\nrand_time = 0", 100, 0, 10, 0),
        ("rekey_time = 1h\nreauth_time = 3h", 3600, 10_800, 1080, 1080),
    ])
    func timesThatFollowFromOthers(
        lines: String, rekey: UInt64, reauthentication: UInt64, over: UInt64, random: UInt64
    ) throws {
        let connection = try connection(sites(connection: lines))
        #expect(connection.rekeyTime == rekey && connection.reauthenticationTime == reauthentication)
        #expect(connection.overTime == over && connection.randomTime == random)
    }

    @Test(
        arguments: [
            ("auth = pubkey", []), ("auth = ed25519", [.ed25519]), ("auth = ed448", [.ed448]),
            ("auth = ecdsa-sha384", [.ecdsa(.sha384), .ecdsaConcatenated(.sha384)]),
            ("auth = ike:rsa/pss-sha256", [.rsaPSS(.sha256)]),
            ("auth = rsa-2048-sha512", [.rsaPKCS1(.sha512)]),
            ("auth = rsa-sha256-ed25519", [.rsaPKCS1(.sha256), .ed25519]),
            ("auth = ike:ed448-ike:ecdsa-sha512", [.ed448, .ecdsa(.sha512), .ecdsaConcatenated(.sha512)]),
            (
                "auth = pubkey-sha256",
                [.rsaPKCS1(.sha256), .rsaPSS(.sha256), .ecdsa(.sha256), .ecdsaConcatenated(.sha256)]
            ),
        ] as [(String, [SignatureScheme])])
    func signatureSchemes(line: String, schemes: [SignatureScheme]) throws {
        #expect(try connection(sites(local: line)).local.method == .publicKey(schemes: schemes))
    }

    @Test(arguments: [
        ("mobike = yes", "mobike"), ("dpd_timeout = 30s", "dpd_timeout"),
    ])
    func acceptedWithAWarning(line: String, word: String) throws {
        let warnings = try swanctl(sites(connection: line)).warnings
        #expect(warnings.map(\.word) == [word])
        #expect(warnings.first?.location.line == 4)
    }

    /// Keys that ask for nothing that is not there.
    @Test(arguments: [
        "version = 0", "mobike = no", "aggressive = no", "pull = yes", "dscp = 000000", "ppk_required = no",
        "mediation = no", "if_id_in = 0", "vips =", "pools =", "ppk_id =", "dpd_timeout = 0", "mobike =",
    ])
    func harmless(line: String) throws {
        #expect(try swanctl(sites(connection: line)).warnings.isEmpty)
    }

    @Test func sectionWithoutLines() throws {
        let section = SettingsSection(
            name: "site",
            values: [
                .init(key: "remote_addrs", content: .list([Array("192.0.2.2".utf8)])),
                .init(key: "proposals", content: .list([Array("aes128gcm16-prfsha256-x25519".utf8)])),
            ],
            sections: [
                SettingsSection(name: "local", values: [.init(key: "auth", content: .text("psk"))]),
                SettingsSection(name: "remote", values: [.init(key: "auth", content: .text("psk"))]),
                SettingsSection(
                    name: "children",
                    sections: [
                        SettingsSection(
                            name: "net",
                            values: [
                                .init(
                                    key: "local_ts",
                                    content: .list([Array("10.1.0.0/16".utf8), Array("10.3.0.0/16".utf8)]))
                            ])
                    ]),
            ])
        let connection = try ConnectionTranslation.connection(section).connection
        #expect(connection.remoteAddresses.map(\.description) == ["192.0.2.2"])
        #expect(connection.proposals.map(\.description) == ["aes128gcm16-prfsha256-x25519"])
        #expect(connection.children.first?.localSelectors.map(\.description) == ["10.1.0.0/16", "10.3.0.0/16"])

        var wrong = section
        wrong.sections[2].sections[0].values.append(.init(key: "mode", content: .text("beet")))
        do throws(ConfigurationErrors) {
            _ = try ConnectionTranslation.connection(wrong)
            Issue.record("no error")
        } catch {
            #expect(
                error.description.hasPrefix("connections.site.children.net: 'beet': unsupported mode: only tunnel"),
                "\(error)")
        }
    }

    /// What came over the control socket has no lines: the sections tell where it is.
    @Test func aMistakeWithoutALineIsInItsSection() throws {
        let child = SettingsSection(name: "net", values: [.init(key: "start_action", content: .text("trip"))])
        let section = SettingsSection(name: "moon", sections: [SettingsSection(name: "children", sections: [child])])
        let errors = #expect(throws: ConfigurationErrors.self) {
            _ = try ConnectionTranslation.connection(section)
        }
        #expect(errors?.errors.map(\.location.description) == ["connections.moon.children.net"])
    }
}
