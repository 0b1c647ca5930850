import ControlPlane
import Foundation
import IKEv2
import Telemetry
import Testing

@testable import Dataplane
@testable import Gateway
@testable import XDP

/// The catalogue of figures is complete, and status documents have what it says by the names that they always had.
@Suite struct MetricCatalogueTests {
    /// The names of the fields that rows read.
    private static func fields<Source>(_ metrics: [Metric<Source>]) -> [String] {
        metrics.compactMap(\.field).map { "\($0)".split(separator: ".").last.map(String.init) ?? "" }
    }

    private static func labels(_ value: Any) -> Set<String> {
        Set(Mirror(reflecting: value).children.compactMap(\.label))
    }

    // MARK: Nothing is missing

    @Test func everyCounterHasItsRow() {
        #expect(Set(Self.fields(NegotiationMetrics.all)) == Self.labels(ManagerCounters()))
        let sockets = NegotiationMetrics.sockets.listed + NegotiationMetrics.sockets.others
        #expect(Set(Self.fields(sockets)) == Self.labels(IKEDatagramCounters()))
        #expect(Set(Self.fields(QueueMetrics.all)) == Self.labels(SocketStatistics(.init())))
        #expect(WorkerMetrics.all.map(\.name) == WorkerCounter.allCases.map(\.name))
        #expect(SteeringMetrics.all.map(\.name) == SteeringVerdict.allCases.map(\.name))
        #expect(DropMetrics.all.map(\.name) == DropReason.allCases.map(\.name))
        let boundary = Self.labels(BoundaryReport()).filter { $0.hasPrefix("heldBack") }
        #expect(Set(Self.fields(BoundaryMetrics.all)) == boundary)
    }

    /// Numbers of documents that are no figures: what names a thing, what is configured, and what a limit is.
    private static let attributes: Set = [
        "index", "worker", "requestIdentifier", "priority", "protocol", "replayWindow", "mtu", "processIdentifier",
        "sizeInBytes",
    ]

    /// The members of a document that are figures; those of a list count as one.
    private static func figures(_ document: Any) -> Set<String> {
        let members = Mirror(reflecting: document).children.filter { member in
            let name = "\(Mirror(reflecting: member.value).subjectType)"
            return member.value is any BinaryInteger || name.hasPrefix("Optional<Int>")
                || name.hasPrefix("Optional<UInt") || type(of: member.value) == [DropStatus].self
        }
        return Set(members.compactMap(\.label)).subtracting(attributes)
    }

    @Test func everyFigureOfADocumentHasItsRow() {
        let report = StatusTextTests.report
        #expect(Self.figures(report.securityAssociations[0]) == Set(AssociationMetrics.all.map(\.name)))
        #expect(Self.figures(report.policies[0]) == Set(PolicyMetrics.all.map(\.name)))
        let gateway = Self.figures(report.gateway).union(Self.figures(report.frames))
        #expect(gateway == Set(GatewayMetrics.all.map(\.name)))
        #expect(Self.figures(BoundaryReport()) == Set(BoundaryMetrics.all.map(\.name)))
        let usage = Self.labels(ChildUsage()).filter { !$0.hasPrefix("last") }
        #expect(Set(Self.fields(ChildMetrics.all)) == usage)
    }

    @Test func eachRowReadsItsOwnCounter() {
        let statistics = WorkerStatistics()
        for counter in WorkerCounter.allCases {
            statistics.counters[counter.rawValue].set(UInt64(counter.rawValue) + 1)
        }
        let expected = WorkerCounter.allCases.map { UInt64($0.rawValue) + 1 }
        #expect(WorkerMetrics.all.map { $0.read(statistics) } == expected)
        var counters = ManagerCounters()
        counters.wrongVersion = 7
        #expect(NegotiationMetrics.all.first { $0.name == "wrong-version" }?.read(counters) == 7)
        let sum = NegotiationMetrics.all.map { $0.read(counters) }.reduce(UInt64(0), +)
        #expect(sum == 7)
    }

    @Test func everyRowIsComplete() {
        for group in MetricCatalogue.groups {
            let names = group.definitions.map(\.name)
            #expect(Set(names).count == names.count && !names.isEmpty, "\(group.name)")
            for row in group.definitions {
                #expect(!row.help.isEmpty && !row.help.hasSuffix("."), "\(row.name)")
            }
        }
    }

    // MARK: Documents stay as they are

    @Test func aQueueHasTheMembersThatItHad() throws {
        let queue = StatusTextTests.report.ports[0].queues[0]
        let members = """
            {"queue":0,"worker":0,"receive_dropped":1,"receive_invalid_descriptors":0,"transmit_invalid_descriptors":0,\
            "receive_ring_full":2,"fill_ring_empty":3,"transmit_ring_empty":4}
            """
        #expect(try JSONDocument.text(queue, indented: false) == members)
        #expect(StatusTextTests.report.text().contains("queue  worker  rx dropped  rx ring full  fill empty  tx empty"))
    }

    @Test func countersKeepTheirNames() {
        let workers = """
            rounds busyRounds busyCycles batches received transmitted protected opened bypassed handedOver takenOver toHost \
            fromHost reassembled icmpErrors icmpErrorsWithheld fragments fragmented sleeps kicks receiveWakeUps flowMisses \
            freeFrames waiting
            """
        #expect(WorkerMetrics.all.map(\.name).joined(separator: " ") == workers)
        let negotiation = """
            sessions half-open initiated responded established failed peers-dead children-up children-rekeyed \
            installations-failed received sent keepalives-sent malformed wrong-version unknown-spi peers-doubted \
            peers-called unprotected-errors-sent unprotected-errors-suppressed without-connection cookies-sent \
            cookies-accepted cookies-rejected refused-half-open refused-half-open-per-address refused-for-time \
            answers-held-back refused-sessions half-open-timeouts acquires-suppressed fragmented-messages-refused \
            keepalives-received esp-in-ike-socket malformed-datagrams send-failures
            """
        let status = NegotiationStatus([], now: 0, manager: ManagerCounters(), datagrams: IKEDatagramCounters())
        #expect(status.counters.map(\.name).joined(separator: " ") == negotiation)
        let exchanges = """
            ike-rekey-init ike-rekey-resp child-rekey invalid invalid-spi ike-init-in-req ike-init-in-resp ike-init-out-req \
            ike-init-out-resp ike-auth-in-req ike-auth-in-resp ike-auth-out-req ike-auth-out-resp create-child-in-req \
            create-child-in-resp create-child-out-req create-child-out-resp info-in-req info-in-resp info-out-req \
            info-out-resp
            """
        #expect(ExchangeCounters.definitions.map(\.name).joined(separator: " ") == exchanges)
    }

    /// Rows that read a document name its members.
    @Test func rowsOfDocumentsNameTheirMembers() throws {
        let text = try JSONDocument.text(StatusTextTests.report)
        let names =
            GatewayMetrics.all.map(\.name) + AssociationMetrics.all.map(\.name) + PolicyMetrics.all.map(\.name)
        for name in names { #expect(text.contains("\"\(JSONDocument.snakeCase(name))\""), "\(name)") }
        let boundary = try JSONDocument.text(BoundaryReport())
        for name in BoundaryMetrics.all.map(\.name) {
            #expect(boundary.contains("\"\(JSONDocument.snakeCase(name))\""), "\(name)")
        }
    }

    /// `sluice metrics` writes the file anew.
    @Test func theTableIsThatOfTheCatalogue() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../")
        let file = root.appending(path: "deploy/examples/metrics.md").standardizedFileURL
        let committed = try String(contentsOf: file, encoding: .utf8)
        #expect(committed == MetricCatalogue.markdown, "run: sluice metrics > \(file.path)")
    }
}
