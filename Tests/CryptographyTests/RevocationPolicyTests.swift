import Cryptography
import Testing

/// The table of `RevocationCase`, by each policy, and by `openssl verify`.
@Suite struct RevocationPolicyTests {
    private let scene: RevocationScene

    init() throws { scene = try RevocationScene() }

    private func isAccepted(
        _ row: RevocationCase, _ policy: RevocationPolicy, _ lists: [RevocationList]
    ) throws -> Bool {
        let store = try TrustStore(
            authorities: [scene.root.certificate, scene.renewed.certificate], revocationLists: RevocationListSet(lists))
        do throws(CertificateError) {
            _ = try store.verify(
                row.certificate(scene), intermediates: scene.pool, at: TestAuthority.now, revocation: policy)
            return true
        } catch {
            switch error {
            case .revoked, .noRevocationList, .staleRevocationList, .insufficientRevocationList: return false
            default: throw error
            }
        }
    }

    @Test(arguments: RevocationCase.all) func everyPolicyGivesTheRightAnswer(_ row: RevocationCase) throws {
        let lists = try row.lists(scene)
        for policy in RevocationPolicy.allCases {
            let accepted = try isAccepted(row, policy, lists)
            #expect(accepted == row.accepts(policy), "\(policy.rawValue)")
            #expect(try isAccepted(row, policy, lists.reversed()) == accepted, "the order does not matter")
        }
    }

    /// `strict` is the policy that the tool has.
    @Test(arguments: RevocationCase.all) func theToolAgrees(_ row: RevocationCase) throws {
        let accepted = try scene.isAcceptedByTool(
            row.certificate(scene), row.lists(scene), trusted: [scene.root.certificate, scene.renewed.certificate],
            pool: scene.pool)
        switch row.judge {
        case .agrees: #expect(accepted == row.accepts(.strict))
        case .differs: #expect(accepted != row.accepts(.strict), "then it can be asked")
        }
    }
}
