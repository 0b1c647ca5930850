import Cryptography
import Testing

/// Which CRLs replace which.
@Suite struct RevocationListSetTests {
    private let scene: RevocationScene
    private let authorities: [Certificate]
    private var set = RevocationListSet()

    init() throws {
        scene = try RevocationScene()
        authorities = [scene.root.certificate, scene.renewed.certificate]
    }

    private mutating func insert(_ lists: RevocationList...) {
        set.insert(lists, signedByOneOf: authorities)
    }

    private func complete(_ number: Int, _ change: (inout TestRevocationList) -> Void = { _ in }) throws
        -> RevocationList
    {
        try scene.root.revocationList(RevocationCase.complete(number, [], change))
    }

    private func delta(_ number: Int, base: Int) throws -> RevocationList {
        try scene.root.revocationList(RevocationCase.delta(number, base: base))
    }

    @Test mutating func aNewerListReplacesTheOlder() throws {
        let (old, new) = (try complete(1), try complete(2))
        insert(old, new)
        #expect(Array(set) == [new])
        insert(old)
        #expect(Array(set) == [new], "an older one is not taken")
        let recounted = try complete(1) { $0.thisUpdate += 10 }
        insert(recounted)
        #expect(Array(set) == [new, recounted], "later, and of a lower number: who knows")
        set = [new]
        insert()
        let again = try complete(2) { $0.thisUpdate += 1 }
        insert(again)
        #expect(Array(set) == [again], "of two with one number the later one counts")
        insert(again)
        #expect(set.count == 1)
    }

    @Test mutating func withoutNumbersTheTimesCount() throws {
        let old = try scene.root.revocationList(RevocationCase.list())
        let new = try scene.root.revocationList(RevocationCase.list { $0.thisUpdate += 10 })
        insert(new, old)
        #expect(Array(set) == [new])
    }

    @Test mutating func baseDeltaAndPartitionsStandSideBySide() throws {
        let base = try complete(10)
        let parts = try [RevocationScene.own, RevocationScene.other].map { name in
            try complete(11) { $0.scope = "fullname:\(name)" }
        }
        let users = try complete(12) { $0.scope = "onlyuser:TRUE" }
        let delta = try delta(13, base: 10)
        insert(base, delta, parts[0], parts[1], users)
        #expect(Set(set) == Set([base, delta, users] + parts))
    }

    @Test mutating func deltasGoWithWhatMakesThemSuperfluous() throws {
        let (base, first, second) = (try complete(10), try delta(11, base: 10), try delta(12, base: 10))
        insert(base, first, second)
        #expect(Array(set) == [base, second], "the second has all that the first has")
        let third = try delta(13, base: 12)
        insert(third)
        #expect(Array(set) == [base, second, third], "it continues the second")
        let next = try complete(13)
        insert(next)
        #expect(Array(set) == [next])
        insert(second)
        #expect(Array(set) == [next], "what it changes is older")
    }

    @Test mutating func bothKeysOfAnAuthorityHaveTheirs() throws {
        for namesKey in [true, false] {
            set = []
            let old = try complete(5) { $0.namesKey = namesKey }
            let new = try scene.renewed.revocationList(RevocationCase.complete(6) { $0.namesKey = namesKey })
            insert(old, new)
            #expect(Array(set) == [old, new])
        }
    }

    @Test mutating func whatSomebodyElseSignedReplacesNothing() throws {
        let genuine = try complete(1)
        let forged = try complete(2) { $0.signer = .p521 }
        insert(genuine, forged)
        #expect(Set(set) == [genuine, forged])
        insert(forged)
        #expect(set.count == 2)
    }

    @Test mutating func theSignerMayBecomeKnownLater() throws {
        let (old, new) = (try complete(1), try complete(2))
        set.insert([old, new], signedByOneOf: [])
        #expect(set.count == 2)
        insert()
        #expect(Array(set) == [new])
    }

    @Test mutating func thoseThatNobodyKnownSignedAreBounded() throws {
        for number in 1...80 { set.insert([try complete(number)], signedByOneOf: []) }
        #expect(set.count == 64)
        #expect(set.last?.number == (try complete(80)).number)
    }

    /// Damaged where it matters: such a list must not pass for a complete one about everything.
    @Test func whatContradictsItselfIsUnreadable() throws {
        #expect(throws: CertificateError.self) { try delta(10, base: 10) }
        #expect(throws: CertificateError.self) {
            try scene.root.revocationList(RevocationCase.list { $0.base = 10 })
        }
        #expect(throws: CertificateError.self) { try complete(1) { $0.scope = "onlyuser:TRUE,onlyCA:TRUE" } }
        #expect(try delta(70_000, base: 10).number?.description == "70000")
    }
}
