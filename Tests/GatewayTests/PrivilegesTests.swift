import Testing

@testable import Gateway

@Suite struct PrivilegesTests {
    private static let full: UInt64 = 0x1FF_FFFF_FFFF

    @Test func readsTheEffectiveSet() {
        let text = "Name:\tsluice\nCapPrm:\t0000000000000001\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n"
        #expect(Privileges.effectiveSet(ofStatus: text) == Self.full)
        #expect(Privileges.effectiveSet(ofStatus: "Name:\tsluice\n") == nil)
    }

    @Test func findsNothingMissingForRoot() {
        #expect(Privileges.missing(in: Self.full).isEmpty)
    }

    @Test(arguments: [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (14, "CAP_IPC_LOCK")])
    func namesWhatIsMissing(_ pair: (bit: Int, name: String)) {
        #expect(Privileges.missing(in: Self.full & ~(1 << UInt64(pair.bit))).map(\.name) == [pair.name])
    }

    /// Before Linux 5.8 there was no CAP_BPF, and CAP_SYS_ADMIN still includes it.
    @Test func takesTheWiderCapability() {
        let withoutBPF = Self.full & ~(1 << 39)
        #expect(Privileges.missing(in: withoutBPF).isEmpty)
        #expect(Privileges.missing(in: withoutBPF & ~(1 << 21)).map(\.name) == ["CAP_BPF"])
        #expect(Privileges.missing(in: Self.full & ~(1 << 38 | 1 << 21)).map(\.name) == ["CAP_PERFMON"])
        #expect(Privileges.missing(in: 0).count == Privileges.needs.count)
    }
}
