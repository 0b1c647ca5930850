import Configuration
import Foundation
import Packets
import Testing

@testable import Gateway

@Suite struct StatusTextTests {
    static let report = StatusReport(
        gateway: GatewayStatus(
            version: "1.0", processIdentifier: 42, uptimeSeconds: 3_725, residentBytes: 12_582_912, engine: "openssl",
            snapshotGeneration: 7),
        ports: [
            PortStatus(
                name: "wan0", interfaceIndex: 3, roles: ["wan"], isUp: true, macAddress: "02:00:00:00:00:01",
                mtu: 1500, addresses: ["10.99.0.1"], xdpMode: "native", xdpModeReason: "the driver has it",
                copyMode: "copy", copyModeReason: "no zero-copy: operation not supported",
                steering: [NamedCount(name: "esp", packets: 1_234_567)],
                queues: [
                    QueueStatus(
                        queue: 0, worker: 0,
                        figures: [
                            NamedCount(name: "receiveDropped", packets: 1),
                            NamedCount(name: "receiveInvalidDescriptors", packets: 0),
                            NamedCount(name: "transmitInvalidDescriptors", packets: 0),
                            NamedCount(name: "receiveRingFull", packets: 2),
                            NamedCount(name: "fillRingEmpty", packets: 3),
                            NamedCount(name: "transmitRingEmpty", packets: 4),
                        ])
                ])
        ],
        workers: [
            WorkerStatus(
                index: 0, core: 1, polls: 10, batches: 4, receivedPackets: 130, transmittedPackets: 120,
                batchFill: 32.5, cyclesPerPacket: 412.25, handoversSent: 0, handoversReceived: 0, sleeps: 5,
                freeFrames: 4000, droppedPackets: 10, counters: [NamedCount(name: "kicks", packets: 9)])
        ],
        frames: FrameStatus(count: 4096, sizeInBytes: 2048, hugePages: false),
        securityAssociations: [
            AssociationStatus(
                direction: "in", spi: "0x00001001", source: "10.99.0.2", destination: "10.99.0.1",
                requestIdentifier: 1, mode: "tunnel", transform: "aes128gcm16", encapsulation: nil, worker: 0,
                packets: 5_000, bytes: 400_000, sequence: 5_004, extendedSequenceNumbers: true, replayWindow: 1024,
                missingInWindow: 4, mtu: nil, ageSeconds: 60, idleSeconds: 0, events: ["first-use"],
                drops: [DropStatus(reason: "replay-duplicate", packets: 3)])
        ],
        policies: [
            PolicyStatus(
                index: 0, direction: "out", source: "10.1.0.0/16", destination: "10.2.0.0/16", protocol: nil,
                sourcePorts: nil, destinationPorts: "443", priority: 0, action: "protect", requestIdentifier: 1,
                packets: 12, bytes: 3400)
        ],
        peers: [
            PeerStatus(address: "10.99.0.2", nextHop: nil, interface: "wan0", state: "unresolved", mtu: 1500)
        ],
        neighbours: [
            NeighbourStatus(address: "10.99.0.2", interface: "wan0", macAddress: nil, state: "unresolved")
        ],
        drops: [DropStatus(reason: "unknown-spi", packets: 10, explanation: "No SA has the packet's SPI.")])

    @Test func tellsWhatIsNotServed() throws {
        var report = Self.report
        #expect(!report.text().contains("Errors of the configuration"))
        #expect(ConfigurationStatus(errors: []) == nil)
        let error = Problem(
            .error, SourceLocation(file: "swanctl.conf", line: 7), word: "updown", "not supported",
            remedy: "leave it out")
        report.configuration = ConfigurationStatus(errors: [error], refused: ["site/net"])
        let text = report.text()
        #expect(
            text.contains("Errors of the configuration\n  swanctl.conf:7: 'updown': not supported; leave it out\n"))
        #expect(text.contains("not served, and closed: site/net"))
        let json = try JSONDocument.text(report)
        #expect(json.contains("\"configuration\"") && json.contains("\"refused\""), "\(json)")
    }

    @Test func showsEveryPart() {
        let lines = Self.report.text().split(separator: "\n").map(String.init)
        func has(_ words: String...) -> Bool { lines.contains { line in words.allSatisfy { line.contains($0) } } }
        #expect(has("sluice 1.0", "process 42", "1h 2m 5s", "12.0 MiB", "openssl"))
        #expect(has("Port wan0 (wan), up", "mtu 1500", "10.99.0.1"))
        #expect(has("native: the driver has it"))
        #expect(has("steering esp 1,234,567"))
        #expect(has("32.5", "412.3", "4,000"))
        #expect(has("0x00001001", "aes128gcm16", "5,004", "1024", "first-use"))
        #expect(has("0x00001001 dropped 3 replay-duplicate"))
        #expect(has("out", "10.1.0.0/16", "any > 443", "protect"))
        #expect(has("10.99.0.2", "on link", "unresolved", "1500"))
        // Its 12 packets found no SA: those that did are counted there.
        #expect(has("reqid", "packets outside SAs") && has("protect", "12"))
        #expect(has("unknown-spi", "10", "No SA has"))
        #expect(!lines.contains { $0.hasSuffix(" ") })
    }

    @Test func survivesJSON() throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let text = try JSONDocument.text(Self.report)
        #expect(try decoder.decode(StatusReport.self, from: Data(text.utf8)) == Self.report)
        #expect(text.contains("\"security_associations\""))
    }

    @Test func alignsColumns() {
        var table = TextTable([.left("name"), .right("count")])
        table.append(["a", "1"])
        table.append(["longer", "100"])
        table.append(["short"])
        #expect(table.text(indentation: 1) == " name    count\n a           1\n longer    100\n short\n")
    }

    @Test(arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567")])
    func groupsDigits(_ pair: (Int, String)) { #expect(HumanText.count(pair.0) == pair.1) }

    @Test(arguments: [
        (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (12_582_912, "12.0 MiB"), (1 << 50, "1024.0 TiB"),
    ])
    func scalesBytes(_ pair: (Int, String)) { #expect(HumanText.bytes(pair.0) == pair.1) }

    @Test(arguments: [(0, "0s"), (59, "59s"), (93_784, "1d 2h 3m 4s"), (3_600, "1h")])
    func saysDurations(_ pair: (Int, String)) { #expect(HumanText.duration(seconds: pair.0) == pair.1) }
}

@Suite struct NegotiationStatusTests {
    static let negotiation = NegotiationStatus(
        ikeAssociations: [
            IKEAssociationStatus(
                identifier: 6, connection: "moon", state: "established", role: "initiator",
                initiatorSPI: "15b82aa06a68d5d1", responderSPI: "0086313b2fa651e3", local: "10.98.0.1:4500",
                remote: "10.98.0.2:4500", localIdentity: "a@lab", remoteIdentity: "b@lab", nat: "peer",
                algorithms: "aes128gcm16-prfsha256-x25519", establishedSeconds: 75, rekeyInSeconds: 3600,
                reauthenticationInSeconds: nil, silentSeconds: 5, activeTasks: ["CHILD_REKEY"], queuedTasks: [],
                children: [
                    ChildAssociationStatus(
                        identifier: 7, name: "net", state: "installed", mode: "tunnel", requestIdentifier: 3,
                        inboundSPI: "0x4e303e43", outboundSPI: "0x00423702", encapsulated: true,
                        algorithms: "aes128gcm16-x25519", extendedSequenceNumbers: true,
                        localSelectors: ["10.1.0.0/16"], remoteSelectors: ["10.2.0.0/16"], inboundPackets: 12_345,
                        inboundBytes: 1, outboundPackets: 2, outboundBytes: 3, establishedSeconds: 60,
                        rekeyInSeconds: 30, expiresInSeconds: nil)
                ])
        ], counters: [EventCount(name: "established", count: 1), EventCount(name: "failed", count: 0)])

    @Test func tellsWhatWasNegotiated() {
        var report = StatusTextTests.report
        report.negotiation = Self.negotiation
        let text = report.text()
        for part in [
            "IKE SAs\n", "CHILD_SAs\n", "moon", "10.98.0.2:4500", "b@lab", "aes128gcm16-prfsha256-x25519", "1m 15s",
            "CHILD_REKEY", "0x4e303e43", "12,345", "IKE so far: established 1\n",
        ] { #expect(text.contains(part), "\(part)") }
        #expect(!text.contains("failed"))
    }

    @Test func writesPlainNamesIntoJSON() throws {
        let text = try JSONDocument.text(Self.negotiation)
        for name in [
            "\"ike_associations\"", "\"initiator_spi\": \"15b82aa06a68d5d1\"", "\"rekey_in_seconds\": 3600",
            "\"inbound_spi\": \"0x4e303e43\"", "\"request_identifier\": 3", "\"count\": 1",
        ] { #expect(text.contains(name), "\(name)") }
        #expect(!text.contains("expires_in_seconds"))
        let read = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        #expect((read?["ike_associations"] as? [Any])?.count == 1)
    }
}
