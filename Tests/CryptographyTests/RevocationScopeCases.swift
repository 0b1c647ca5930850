import Cryptography

/// Lists that are not about all certificates of their issuer, and lists that another key has signed.
extension RevocationCase {
    private static let allButKeyCompromise =
        "CACompromise,affiliationChanged,superseded,cessationOfOperation,certificateHold,privilegeWithdrawn,AACompromise"

    private static func reasons(_ names: String) -> (inout List) -> Void {
        {
            $0.scope = "@scope"
            $0.sections = "[scope]\nonlysomereasons=\(names)\n"
        }
    }

    /// Tells that the authorities below the root are good, and no more.
    private static func authorities(_ scene: Scene) throws -> RevocationList {
        try scene.root.revocationList(list { $0.scope = "onlyCA:TRUE" })
    }

    // MARK: Issuing distribution points

    static let scopes: [RevocationCase] = [
        RevocationCase("for end entities alone", { $0.pointing }, "yyy") {
            [try $0.root.revocationList(list { $0.scope = "onlyuser:TRUE" })]
        },
        RevocationCase("for end entities alone, and it is an authority", { $0.middle }, "--y") {
            [try $0.root.revocationList(list { $0.scope = "onlyuser:TRUE" })]
        },
        RevocationCase("for authorities alone, and it is one", { $0.middle }, "yyy") {
            [try $0.root.revocationList(list { $0.scope = "onlyCA:TRUE" })]
        },
        RevocationCase("for authorities alone", { $0.pointing }, "--y") {
            [try $0.root.revocationList(list { $0.scope = "onlyCA:TRUE" })]
        },
        RevocationCase("for authorities alone, and the certificate is in it", { $0.pointing }, "---") {
            [try $0.root.revocationList(list([$0.pointing]) { $0.scope = "onlyCA:TRUE" })]
        },
        RevocationCase("for attribute certificates, one of which has its number", { $0.pointing }, "--y") {
            [try $0.root.revocationList(list([$0.pointing]) { $0.scope = "onlyAA:TRUE" })]
        },
        RevocationCase("its partition", { $0.pointing }, "yyy") {
            [try $0.root.revocationList(list { $0.scope = "fullname:\(Scene.own)" })]
        },
        RevocationCase("its partition, with it", { $0.pointing }, "---") {
            [try $0.root.revocationList(list([$0.pointing]) { $0.scope = "fullname:\(Scene.own)" })]
        },
        RevocationCase("another partition", { $0.pointing }, "--y") {
            [try $0.root.revocationList(list { $0.scope = "fullname:\(Scene.other)" })]
        },
        RevocationCase("another partition, with it", { $0.pointing }, "---") {
            [try $0.root.revocationList(list([$0.pointing]) { $0.scope = "fullname:\(Scene.other)" })]
        },
        RevocationCase("its partition and a newer one of others", { $0.pointing }, "---") {
            [
                try $0.root.revocationList(list([$0.pointing]) { $0.scope = "fullname:\(Scene.own)" }),
                try $0.root.revocationList(
                    list {
                        $0.scope = "fullname:\(Scene.other)"
                        $0.thisUpdate += 50
                    }),
            ]
        },
        RevocationCase("a partition, and the certificate names none", { $0.plain }, "-yy") {
            [try $0.root.revocationList(list { $0.scope = "fullname:\(Scene.own)" })]
        },
        RevocationCase("one reason", { $0.pointing }, "--y") {
            [try $0.root.revocationList(list([], reasons("keyCompromise")))]
        },
        RevocationCase("all reasons in two lists", { $0.pointing }, "yyy") {
            [
                try $0.root.revocationList(list([], reasons("keyCompromise"))),
                try $0.root.revocationList(list([], reasons(allButKeyCompromise))),
            ]
        },
        RevocationCase("all reasons in two lists, one of them with it", { $0.pointing }, "---") {
            [
                try $0.root.revocationList(list([], reasons(allButKeyCompromise))),
                try $0.root.revocationList(list([$0.pointing], reasons("keyCompromise"))),
            ]
        },
        RevocationCase("all reasons in two lists, one of them old", { $0.pointing }, "--y") {
            [
                try $0.root.revocationList(list([], reasons("keyCompromise"))),
                try $0.root.revocationList(
                    list {
                        reasons(allButKeyCompromise)(&$0)
                        $0.nextUpdate = TestAuthority.now - 10
                    }),
            ]
        },
        RevocationCase("the certificate names a list of one reason, and this is it", { $0.partial }, "--y") {
            [
                try $0.root.revocationList(
                    list {
                        $0.scope = "@scope"
                        $0.sections = "[scope]\nfullname=\(Scene.own)\nonlysomereasons=keyCompromise\n"
                    })
            ]
        },
    ]

    // MARK: Indirect lists

    static let indirect: [RevocationCase] = [
        RevocationCase("an indirect list without it", { $0.delegated }, "yyy") {
            [try authorities($0), try $0.delegate.revocationList(list { $0.scope = "indirectCRL:TRUE" })]
        },
        RevocationCase(
            "an indirect list whose own issuer may have been revoked", { $0.delegated }, "-yy",
            .differs("it asks for the status of a list's issuer only along with that of the root")
        ) { [try $0.delegate.revocationList(list { $0.scope = "indirectCRL:TRUE" })] },
        RevocationCase(
            "an indirect list whose own issuer was revoked", { $0.delegated }, "--y",
            .differs("it asks for the status of a list's issuer only along with that of the root")
        ) {
            [
                try $0.root.revocationList(list([$0.delegate.certificate]) { $0.scope = "onlyCA:TRUE" }),
                try $0.delegate.revocationList(list { $0.scope = "indirectCRL:TRUE" }),
            ]
        },
        RevocationCase("an indirect list with it", { $0.delegated }, "---") { scene in
            [
                try scene.delegate.revocationList(
                    list {
                        $0.scope = "indirectCRL:TRUE"
                        $0.entries = [
                            List.Entry(certificate: scene.delegated, issuer: scene.root.certificate.subject)
                        ]
                    })
            ]
        },
        RevocationCase("an indirect list with its number, of the list's own issuer", { $0.delegated }, "yyy") {
            [
                try authorities($0),
                try $0.delegate.revocationList(list([$0.delegated]) { $0.scope = "indirectCRL:TRUE" }),
            ]
        },
        RevocationCase("an indirect list that it does not name", { $0.pointing }, "--y") { scene in
            [
                try scene.delegate.revocationList(
                    list {
                        $0.scope = "indirectCRL:TRUE"
                        $0.entries = [List.Entry(certificate: scene.pointing, issuer: scene.root.certificate.subject)]
                    })
            ]
        },
        RevocationCase("a list of the delegate that is not indirect", { $0.delegated }, "--y") {
            [try $0.delegate.revocationList(list())]
        },
        RevocationCase("an indirect list of an impostor", { $0.delegated }, "--y") { scene in
            [
                try scene.impostor.revocationList(
                    list {
                        $0.scope = "indirectCRL:TRUE"
                        $0.entries = [
                            List.Entry(certificate: scene.delegated, issuer: scene.root.certificate.subject)
                        ]
                    })
            ]
        },
    ]

    // MARK: Renewed authorities

    static let keys: [RevocationCase] = [
        RevocationCase("lists of the old and the new key, the old one with it", { $0.pointing }, "---") {
            [
                try $0.root.revocationList(list([$0.pointing]) { $0.namesKey = true }),
                try $0.renewed.revocationList(
                    list {
                        $0.namesKey = true
                        $0.thisUpdate += 50
                    }),
            ]
        },
        RevocationCase("lists of the old and the new key", { $0.pointing }, "yyy") {
            [
                try $0.renewed.revocationList(list { $0.namesKey = true }),
                try $0.root.revocationList(list { $0.namesKey = true }),
            ]
        },
        // The key is certified by the old one too (bridged), and so is below the same authority (section 6.3.3 f).
        RevocationCase("the list of a key that the old one certifies", { $0.pointing }, "yyy") {
            [try authorities($0), try $0.bridged.revocationList(list { $0.namesKey = true })]
        },
        RevocationCase("the list of a key that the old one certifies, with it", { $0.pointing }, "---") {
            [try $0.bridged.revocationList(list([$0.pointing]) { $0.namesKey = true })]
        },
        RevocationCase("the same without the name of the key", { $0.pointing }, "---") {
            [try $0.bridged.revocationList(list([$0.pointing]))]
        },
    ]

    // MARK: What is not known here

    static let damaged: [RevocationCase] = [
        RevocationCase("an unknown critical extension", { $0.pointing }, "--y") {
            [try $0.root.revocationList(list { $0.isUnknown = true })]
        },
        RevocationCase("an unknown critical extension, and the certificate is in it", { $0.pointing }, "---") {
            [try $0.root.revocationList(list([$0.pointing]) { $0.isUnknown = true })]
        },
        RevocationCase("an unknown critical extension of an entry", { $0.pointing }, "--y") { scene in
            [
                try scene.root.revocationList(
                    list { $0.entries = [List.Entry(certificate: scene.plain, isUnknown: true)] })
            ]
        },
        RevocationCase("released in a delta with an unknown critical extension", { $0.pointing }, "---") { scene in
            [
                try scene.root.revocationList(complete(10, [scene.pointing])),
                try scene.root.revocationList(
                    delta(11, base: 10) {
                        $0.entries = [removed(scene.pointing)]
                        $0.isUnknown = true
                    }),
            ]
        },
    ]
}
