import Cryptography
import Foundation
import IPsec
import Packets
import Testing

@testable import IKEv2

/// The states of a CHILD_SA, and what leads from one to another.
@Suite struct ChildTableTests {
    private let environment = TestEnvironment(seed: 7)
    /// The SA that things happen to, and those that come in its place.
    private let sa: ChildSA
    private let successor: ChildSA
    private let rival: ChildSA

    init() throws {
        let sample = try #require(TwoSessions.joined().east.onlyChild)
        func copy(_ id: UInt32) -> ChildSA {
            ChildSA(
                id: id, child: sample.child, connectionName: sample.connectionName, inboundSPI: SPI(0x1000 + id),
                outboundSPI: SPI(0x2000 + id), mode: sample.mode, transform: sample.transform,
                extendedSequenceNumbers: false, keyExchange: nil, inboundKey: sample.inboundKey,
                outboundKey: sample.outboundKey, selectors: sample.selectors,
                localSelectors: sample.localSelectors, remoteSelectors: sample.remoteSelectors, requestID: 1,
                path: sample.path, isEncapsulated: false, establishedAt: 0, lifetime: sample.lifetime)
        }
        (sa, successor, rival) = (copy(1), copy(2), copy(3))
    }

    private func table(_ state: ChildState, _ step: inout Step) -> ChildTable {
        var table = ChildTable()
        table.install(sa, isAnswer: false, &step)
        switch state {
        case .installed: break
        case .rekeying: table.rekeyBegan(sa.id)
        case .rekeyed: table.rekeyedByPeer(sa.id, by: successor, &step)
        case .deleting: table.deletionBegan(sa.id, &step)
        case .gone: table.deletedByPeer(sa.id, underRekey: nil, &step)
        }
        return table
    }

    private func apply(_ event: ChildEvent, to table: inout ChildTable, _ step: inout Step) {
        switch event {
        case .rekeyBegan: table.rekeyBegan(sa.id)
        case .rekeyRefused: table.rekeyFailed(sa.id, Explanation("no"), &step)
        case .replaced: table.rekeyedByPeer(sa.id, by: rival, &step)
        case .collisionLost:
            _ = table.rekeyed(successor, by: rival, rival: sa.id, isUndone: false, &step)
        case .successorLost: table.deletedByPeer(successor.id, underRekey: nil, &step)
        case .successorLostMeanwhile: table.deletedByPeer(successor.id, underRekey: sa.id, &step)
        case .deletionBegan: table.deletionBegan(sa.id, &step)
        case .deletedByPeer: table.deletedByPeer(sa.id, underRekey: nil, &step)
        case .drained: table.drained(sa.id, reason: "rekeyed", underRekey: nil, &step)
        case .unknownToPeer: table.unknownToPeer(sa.id, isReported: true, underRekey: nil, &step)
        case .sessionEnded: table.sessionEnded(reason: "over", atOnce: true, &step)
        }
    }

    /// A row for each event, a column for each state: installed, rekeying, rekeyed, deleting, gone. "-": nothing changes.
    private static let expected: [ChildEvent: String] = [
        .rekeyBegan: "rekeying - - - -",
        .rekeyRefused: "- installed - - -",
        .replaced: "rekeyed rekeyed - - -",
        .collisionLost: "rekeyed rekeyed - - -",
        .successorLost: "- - installed - -",
        .successorLostMeanwhile: "- - rekeying - -",
        .deletionBegan: "deleting deleting - - -",
        .deletedByPeer: "gone gone gone gone -",
        .drained: "gone gone gone gone -",
        .unknownToPeer: "gone gone gone gone -",
        .sessionEnded: "gone gone gone gone -",
    ]

    @Test(arguments: ChildState.allCases, ChildEvent.allCases)
    func everyEventInEveryState(state: ChildState, event: ChildEvent) throws {
        let row = try #require(Self.expected[event]).split(separator: " ")
        let column = try #require(ChildState.allCases.firstIndex(of: state))
        let next = ChildState(rawValue: String(row[column])) ?? state
        #expect((state.after(event) ?? state) == next, "the table says so")
        var step = Step(environment)
        var table = table(state, &step)
        try #require((table[sa.id]?.state ?? .gone) == state)
        apply(event, to: &table, &step)
        #expect((table[sa.id]?.state ?? .gone) == next, "what happens follows the table")
    }

    @Test func noStepIsListedTwice() {
        for state in ChildState.allCases {
            for event in ChildEvent.allCases {
                #expect(ChildState.transitions.filter { $0.from == state && $0.event == event }.count <= 1)
            }
        }
        #expect(!ChildState.transitions.contains { $0.from == .gone })
    }

    /// The picture beside the sources is made from the table that the sources use.
    @Test func thePictureIsThatOfTheTable() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Sources/IKEv2/Session/ChildStates.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        #expect(text.contains("```mermaid\n\(ChildState.picture)\n```"), "it has to be:\n\(ChildState.picture)")
    }

    // MARK: - Who sends

    /// What the table says to the world, without keys and paths.
    private func told(_ step: inout Step) -> [String] {
        step.finish().compactMap { action in
            switch action {
            case .installInbound(let sa): "+in \(sa.id)"
            case .installOutbound(let sa), .installOutboundWhenUsed(let sa): "+out \(sa.id)"
            case .removeOutbound(let sa): "-out \(sa.id)"
            case .removeInbound(let sa, let atOnce): "-in \(sa.id)\(atOnce ? "" : " later")"
            case .report(.childUp(let sa)): "up \(sa.id)"
            case .report(.childDown(let sa, _)): "down \(sa.id)"
            case .report(.childRekeyed(let old, let new)): "\(old.id) becomes \(new.id)"
            default: nil
            }
        }
    }

    @Test func theSuccessorOfThePeerSendsWhenTheOldOneGoes() {
        var step = Step(environment)
        var table = table(.rekeyed, &step)
        #expect(told(&step) == ["+in 1", "+in 2", "+out 1", "up 1"])
        #expect(table[1]?.sends == true && table[2]?.sends == false && table[2]?.predecessor == 1)
        #expect(table.reported.map(\.id) == [1])
        step = Step(environment)
        table.deletedByPeer(1, underRekey: nil, &step)
        #expect(told(&step) == ["+out 2", "1 becomes 2", "-out 1", "-in 1 later"])
        #expect(table.reported.map(\.id) == [2] && table[2]?.sends == true)
    }

    @Test func ofTwoRekeysAtOnceOneSendsAndTheOtherIsSilent() {
        for isUndone in [false, true] {
            var step = Step(environment)
            var table = table(.rekeying, &step)
            table.rekeyedByPeer(1, by: successor, &step)
            _ = told(&step)
            step = Step(environment)
            let delete = table.rekeyed(sa, by: rival, rival: 2, isUndone: isUndone, &step)
            #expect(delete?.childID == (isUndone ? 3 : 1))
            #expect(
                told(&step) == (isUndone ? ["+in 3"] : ["+in 3", "+out 3", "-out 1", "1 becomes 3"]))
            #expect(table[3]?.sends == !isUndone && table[2]?.sends == false)
            #expect(table[2]?.predecessor == (isUndone ? 1 : nil))
        }
    }
}
