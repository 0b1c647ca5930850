import IPsec
import Netlink
import Packets
import Policy
import TestSupport
import Testing
import XDP

@testable import Gateway

/// The steering program in the kernel's program test run, the kernel guard's rules and the policy database decide alike about random
/// packets under random policies. Where the program or the guard is stricter, it is for one of the reasons that are named here.
@Suite struct SteeringAgreementTests {
    private let lan: SteeringProgram
    private let wan: SteeringProgram
    private let tables: SteeringTables

    init() throws {
        tables = try SteeringTables()
        try tables.open()
        let own = MACAddress(0x0200_0000_0001)
        // Without sockets: what belongs to one is dropped as such.
        lan = try SteeringProgram(tables: tables, links: [PortLink(own, roles: .lan)])
        wan = try SteeringProgram(tables: tables, links: [PortLink(own, roles: .wan)])
    }

    private static func verdict(_ program: SteeringProgram, _ packet: AgreementPacket) throws -> SteeringVerdict? {
        let before = try program.verdicts()
        _ = try program.run(on: Frames.ethernet(packet.bytes))
        let after = try program.verdicts()
        return SteeringVerdict.allCases.first { after[Int($0.rawValue)] > before[Int($0.rawValue)] }
    }

    @Test(arguments: [AddressFamily.ipv4, .ipv6], 0..<4)
    func randomPoliciesAndPackets(family: AddressFamily, seed: Int) throws {
        var universe = AgreementUniverse(family, seed: UInt64(seed))
        for _ in 0..<60 {
            let policies = universe.policies()
            let rules = policies.flatMap(PolicySteering.rules)
            try tables.change(adding: rules)
            defer { try? tables.change(adding: [], removing: rules) }
            let builder = SnapshotBuilder(workers: 1)
            try builder.setPolicies(policies)
            let database = AgreementDatabase(snapshot: builder.build(), policies: policies)
            for _ in 0..<60 {
                let packet = universe.packet()
                guard try agrees(packet, database) else { return }
            }
        }
    }

    /// Both directions of one packet; false after the first that does not agree.
    private func agrees(_ packet: AgreementPacket, _ database: AgreementDatabase) throws -> Bool {
        let outbound = try Self.verdict(lan, packet)
        let inbound = try Self.verdict(wan, packet)
        let isTaken = outbound == .dropNoSocket
        var faults: [String] = []
        if !isTaken, outbound != .passBypass, outbound != .passUnprotected { faults.append("not for the LAN") }
        let possible = database.possible(packet)
        // Never less strict than the database, whatever the packet does not show.
        if possible.contains(where: \.isTaken), !isTaken { faults.append("less strict") }
        if packet.isKnown, !packet.isError {
            // Exactly as the database decides.
            let expected: SteeringVerdict =
                switch possible[0] {
                case .protect, .discard: .dropNoSocket
                case .bypass: .passBypass
                default: .passUnprotected
                }
            if outbound != expected { faults.append("the database says \(possible[0])") }
            let answers = database.reversed(packet)
            let clear: SteeringVerdict =
                answers == .protect ? .dropClearInbound : possible[0].isTaken ? .dropStranger : .passNotLocal
            if inbound != clear { faults.append("from the WAN \(clear)") }
        } else if isTaken, !database.closes(packet, isReversed: false) {
            faults.append("stricter for no reason")
        } else if inbound == .dropClearInbound, !database.closes(packet, isReversed: true) {
            faults.append("stricter from the WAN for no reason")
        }
        if database.guardCloses(packet, isReversed: false) != isTaken { faults.append("the guard disagrees") }
        if inbound == .dropClearInbound, !database.guardCloses(packet, isReversed: true) {
            faults.append("the guard lets in")
        }
        guard !faults.isEmpty else { return true }
        Issue.record(
            "\(faults): \(outbound?.name ?? "") \(inbound?.name ?? "") for \(packet), \(database.policies.map { "\($0.priority) \($0)" })"
        )
        return false
    }
}
