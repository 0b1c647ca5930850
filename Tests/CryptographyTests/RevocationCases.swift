import Cryptography
import Testing

/// Lists that are loaded, a certificate that is asked about, and the right answer of each policy, worked out by hand
/// from RFC 5280 sections 5.2 and 6.3.
struct RevocationCase: Sendable, CustomTestStringConvertible {
    typealias Scene = RevocationScene
    typealias List = TestRevocationList

    /// Of `openssl verify`, to compare with the answer of `strict`.
    enum Judge {
        case agrees
        /// It answers otherwise, and why that is no measure.
        case differs(String)
    }

    let name: String
    let certificate: @Sendable (Scene) -> Certificate
    /// Accepted by `strict`, `ifuri` and `relaxed`: y or -.
    let answers: String
    var judge = Judge.agrees
    let lists: @Sendable (Scene) throws -> [RevocationList]

    var testDescription: String { name }

    init(
        _ name: String, _ certificate: @escaping @Sendable (Scene) -> Certificate, _ answers: String,
        _ judge: Judge = .agrees, lists: @escaping @Sendable (Scene) throws -> [RevocationList]
    ) {
        (self.name, self.certificate, self.answers, self.judge) = (name, certificate, answers, judge)
        self.lists = lists
    }

    func accepts(_ policy: RevocationPolicy) -> Bool {
        let order: [RevocationPolicy] = [.strict, .ifURI, .relaxed]
        return zip(order, answers).contains { $0 == policy && $1 == "y" }
    }

    /// A list with `revoked`, changed by `change`.
    static func list(_ revoked: [Certificate] = [], _ change: (inout List) -> Void = { _ in }) -> List {
        var list = List()
        list.entries = revoked.map { List.Entry(certificate: $0) }
        change(&list)
        return list
    }

    static func complete(
        _ number: Int, _ revoked: [Certificate] = [], _ change: (inout List) -> Void = { _ in }
    ) -> List {
        list(revoked) {
            $0.number = number
            $0.hasDeltas = true
            change(&$0)
        }
    }

    static func delta(
        _ number: Int, base: Int, _ revoked: [Certificate] = [], _ change: (inout List) -> Void = { _ in }
    ) -> List {
        complete(number, revoked) {
            $0.base = base
            $0.hasDeltas = false
            $0.thisUpdate += 50
            change(&$0)
        }
    }

    static func removed(_ certificate: Certificate) -> List.Entry { List.Entry(certificate: certificate, reason: 8) }

    static let all = plain + deltas + scopes + indirect + keys + damaged

    // MARK: Complete lists without extensions

    private static let plain: [RevocationCase] = [
        RevocationCase("no list", { $0.pointing }, "--y") { _ in [] },
        RevocationCase("no list, and the certificate names none", { $0.plain }, "-yy") { _ in [] },
        RevocationCase("a current list without it", { $0.pointing }, "yyy") { [try $0.root.revocationList(list())] },
        RevocationCase("a current list with it", { $0.pointing }, "---") {
            [try $0.root.revocationList(list([$0.pointing]))]
        },
        RevocationCase("a list without an end", { $0.pointing }, "yyy") {
            [try $0.root.revocationList(list { $0.nextUpdate = nil })]
        },
        RevocationCase("an old list without it", { $0.pointing }, "--y") {
            [try $0.root.revocationList(list { $0.nextUpdate = TestAuthority.now - 10 })]
        },
        RevocationCase("an old list with it", { $0.pointing }, "---") {
            [try $0.root.revocationList(list([$0.pointing]) { $0.nextUpdate = TestAuthority.now - 10 })]
        },
        RevocationCase("a list of tomorrow", { $0.plain }, "-yy") {
            [try $0.root.revocationList(list { $0.thisUpdate = TestAuthority.now + 10 })]
        },
        RevocationCase("a list of somebody else", { $0.pointing }, "--y") {
            [try $0.impostor.revocationList(list([$0.pointing]))]
        },
        RevocationCase("a forged list without it", { $0.pointing }, "--y") {
            [try $0.root.revocationList(list { $0.signer = .p521 })]
        },
        RevocationCase("a forged list with it", { $0.pointing }, "--y") {
            [try $0.root.revocationList(list([$0.pointing]) { $0.signer = .p521 })]
        },
        RevocationCase("a forged newer list beside the right one", { $0.pointing }, "---") {
            [
                try $0.root.revocationList(complete(1, [$0.pointing])),
                try $0.root.revocationList(
                    complete(2) {
                        $0.signer = .p521
                        $0.thisUpdate += 50
                    }),
            ]
        },
        RevocationCase("released from hold in the next complete list", { $0.pointing }, "yyy") {
            [
                try $0.root.revocationList(complete(1, [$0.pointing])),
                try $0.root.revocationList(complete(2) { $0.thisUpdate += 50 }),
            ]
        },
        RevocationCase("released in a list of tomorrow", { $0.pointing }, "---") {
            [
                try $0.root.revocationList(complete(1, [$0.pointing])),
                try $0.root.revocationList(complete(2) { $0.thisUpdate = TestAuthority.now + 10 }),
            ]
        },
        RevocationCase("revoked in a later list with a lower number", { $0.pointing }, "---") {
            [
                try $0.root.revocationList(complete(5)),
                try $0.root.revocationList(complete(1, [$0.pointing]) { $0.thisUpdate += 50 }),
            ]
        },
        RevocationCase(
            "released in a later list with a lower number", { $0.pointing }, "---",
            .differs("it goes by the date alone, and one of the two is wrong")
        ) {
            [
                try $0.root.revocationList(complete(5, [$0.pointing])),
                try $0.root.revocationList(complete(1) { $0.thisUpdate += 50 }),
            ]
        },
    ]

    // MARK: Delta lists

    private static let deltas: [RevocationCase] = [
        RevocationCase("a delta alone without it", { $0.pointing }, "--y") {
            [try $0.root.revocationList(delta(11, base: 10))]
        },
        RevocationCase("a delta alone with it", { $0.pointing }, "---") {
            [try $0.root.revocationList(delta(11, base: 10, [$0.pointing]))]
        },
        RevocationCase("revoked in the base, then a delta without it", { $0.pointing }, "---") {
            [
                try $0.root.revocationList(complete(10, [$0.pointing])),
                try $0.root.revocationList(delta(11, base: 10)),
            ]
        },
        RevocationCase("the same in the other order", { $0.pointing }, "---") {
            [
                try $0.root.revocationList(delta(11, base: 10)),
                try $0.root.revocationList(complete(10, [$0.pointing])),
            ]
        },
        RevocationCase("good in the base, revoked in the delta", { $0.pointing }, "---") {
            [
                try $0.root.revocationList(complete(10)),
                try $0.root.revocationList(delta(11, base: 10, [$0.pointing])),
            ]
        },
        RevocationCase(
            "revoked in a delta with the number of its base's successor", { $0.pointing }, "---",
            .differs("it leaves out a delta that has the number of the complete list")
        ) {
            [
                try $0.root.revocationList(complete(11)),
                try $0.root.revocationList(delta(11, base: 10, [$0.pointing])),
            ]
        },
        RevocationCase("good in both", { $0.pointing }, "yyy") {
            [try $0.root.revocationList(complete(10)), try $0.root.revocationList(delta(11, base: 10))]
        },
        RevocationCase("on hold in the base, released in the delta", { $0.pointing }, "yyy") { scene in
            [
                try scene.root.revocationList(complete(10, [scene.pointing])),
                try scene.root.revocationList(delta(11, base: 10) { $0.entries = [removed(scene.pointing)] }),
            ]
        },
        RevocationCase("released in a delta that the base is newer than", { $0.pointing }, "---") { scene in
            [
                try scene.root.revocationList(complete(12, [scene.pointing])),
                try scene.root.revocationList(delta(11, base: 10) { $0.entries = [removed(scene.pointing)] }),
            ]
        },
        RevocationCase("released in a delta with a gap before it", { $0.pointing }, "---") { scene in
            [
                try scene.root.revocationList(complete(10, [scene.pointing])),
                try scene.root.revocationList(delta(13, base: 12) { $0.entries = [removed(scene.pointing)] }),
            ]
        },
        RevocationCase("released in a forged delta", { $0.pointing }, "---") { scene in
            [
                try scene.root.revocationList(complete(10, [scene.pointing])),
                try scene.root.revocationList(
                    delta(11, base: 10) {
                        $0.entries = [removed(scene.pointing)]
                        $0.signer = .p521
                    }),
            ]
        },
        RevocationCase(
            "revoked in a delta with a gap before it", { $0.pointing }, "---",
            .differs("it leaves out a delta that does not continue the complete list, though the issuer revokes in it")
        ) {
            [
                try $0.root.revocationList(complete(10)),
                try $0.root.revocationList(delta(13, base: 12, [$0.pointing])),
            ]
        },
        RevocationCase("revoked in a delta, and the next delta has no word of it", { $0.pointing }, "---") {
            [
                try $0.root.revocationList(complete(10)),
                try $0.root.revocationList(delta(11, base: 10, [$0.pointing])),
                try $0.root.revocationList(delta(12, base: 11)),
            ]
        },
        RevocationCase(
            "on hold in one delta, released in the next", { $0.pointing }, "yyy",
            .differs("it does not apply one delta after the other")
        ) { scene in
            [
                try scene.root.revocationList(complete(10)),
                try scene.root.revocationList(delta(11, base: 10, [scene.pointing])),
                try scene.root.revocationList(
                    delta(12, base: 11) {
                        $0.entries = [removed(scene.pointing)]
                        $0.thisUpdate += 10
                    }),
            ]
        },
        RevocationCase("an old base with a current delta", { $0.pointing }, "yyy") {
            [
                try $0.root.revocationList(complete(10) { $0.nextUpdate = TestAuthority.now - 10 }),
                try $0.root.revocationList(delta(11, base: 10)),
            ]
        },
        RevocationCase("a current base with an old delta", { $0.pointing }, "yyy") {
            [
                try $0.root.revocationList(complete(10)),
                try $0.root.revocationList(delta(11, base: 10) { $0.nextUpdate = TestAuthority.now - 10 }),
            ]
        },
        RevocationCase("an old base with a current delta that does not continue it", { $0.pointing }, "--y") {
            [
                try $0.root.revocationList(complete(10) { $0.nextUpdate = TestAuthority.now - 10 }),
                try $0.root.revocationList(delta(13, base: 12)),
            ]
        },
        RevocationCase("released in a delta of another scope", { $0.pointing }, "---") { scene in
            [
                try scene.root.revocationList(complete(10, [scene.pointing])),
                try scene.root.revocationList(
                    delta(11, base: 10) {
                        $0.entries = [removed(scene.pointing)]
                        $0.scope = "onlyuser:TRUE"
                    }),
            ]
        },
        RevocationCase("a delta about some reasons alone", { $0.pointing }, "--y") {
            [
                try $0.root.revocationList(
                    delta(11, base: 10) {
                        $0.scope = "@scope"
                        $0.sections = "[scope]\nonlysomereasons=keyCompromise\n"
                    })
            ]
        },
    ]
}
