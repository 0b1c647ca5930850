import IPsec
import Netlink
import Packets
import Policy
import Testing

@testable import Gateway

/// Which of the host's own packets are led into tunnels.
@Suite struct HostRoutesTests {
    private func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    private func policy(
        _ source: String, _ destination: String, _ action: SecurityPolicy.Action = .protect(.init(requestID: 1)),
        protocol number: UInt8? = nil, destinationPorts: ClosedRange<UInt16> = TrafficSelector.anyPort
    ) throws -> SecurityPolicy {
        SecurityPolicy(
            selector: .init(
                source: AddressRange(try prefix(source)), destination: AddressRange(try prefix(destination)),
                protocol: number, destinationPorts: destinationPorts), direction: .out, action: action)
    }

    private func plan(
        _ policies: [SecurityPolicy], local: [String], peers: [String] = [], innerMTUs: [UInt32: UInt32] = [:]
    ) throws -> HostRoutes {
        HostRoutes(
            policies, localAddresses: try local.map(address), peers: Set(try peers.map(address)), device: 12,
            mtu: 1400, innerMTUs: innerMTUs)
    }

    /// As the kernel walks rules and tables: the interface, or nil when the main table's short routes decide.
    /// - Parameter main: destinations of the main table.
    private func tunnel(
        _ plan: HostRoutes, to text: String, from source: String? = nil, protocol number: UInt8 = 6, port: UInt16 = 80,
        main: [String] = []
    ) throws -> Bool {
        let there = try address(text)
        for rule in plan.rules.sorted(by: { $0.priority < $1.priority }) where rule.family == there.family {
            guard rule.source == nil || rule.source?.description == source else { continue }
            guard rule.protocol == nil || rule.protocol == number else { continue }
            guard rule.destinationPorts?.contains(port) != false else { continue }
            if rule.table == .main {
                let longest = try main.map(prefix).filter { $0.contains(there) }.map(\.length).max() ?? -1
                if longest > Int(rule.ignoredLength ?? 0) { return false }
                continue
            }
            let routes = plan.routes.filter { $0.table == rule.table && $0.destination.contains(there) }
            guard let best = routes.max(by: { $0.destination.length < $1.destination.length }) else { continue }
            if best.kind == .unicast { return true }
        }
        return false
    }

    @Test func leadsThereFromAnAddressOfTheProtectedNetwork() throws {
        let plan = try plan(
            [policy("10.1.0.0/16", "10.2.0.0/16"), policy("10.9.0.0/16", "10.3.0.0/16")],
            local: ["192.0.2.1", "10.1.0.1"], peers: ["192.0.2.2"])
        let route = try #require(plan.routes.first)
        #expect(plan.routes.count == 1 && plan.rules.count == 2)
        #expect(try route.destination == prefix("10.2.0.0/16") && route.preferredSource == address("10.1.0.1"))
        #expect(route.origin == .sluice && route.hops == [.init(interfaceIndex: 12)] && route.mtu == 1400)
        #expect(HostRoutes.tables.contains(route.table.rawValue))
        #expect(plan.rules.allSatisfy { HostRoutes.priorities.contains($0.priority) })
        #expect(try plan.leads(to: address("10.2.0.9")) && !plan.leads(to: address("10.3.0.9")))
        #expect(try tunnel(plan, to: "10.2.0.9") && !tunnel(plan, to: "10.3.0.9"))
    }

    /// The SA's own limit goes before the device's, where it is lower.
    @Test(arguments: [(1, 1390), (1, 1438), (2, 1200)])
    func followsTheSA(requestID: UInt32, innerMTU: UInt32) throws {
        let plan = try plan(
            [policy("10.1.0.0/16", "10.2.0.0/16")], local: ["10.1.0.1"], innerMTUs: [requestID: innerMTU])
        #expect(plan.routes.map(\.mtu) == [innerMTU == 1390 ? 1390 : 1400])
    }

    /// The whole network, the outer addresses in it: all of it but the peer and what the host has narrower routes for.
    @Test func leadsToTheRestOfWhatHoldsThePeer() throws {
        let main = ["10.99.0.0/24", "10.1.0.0/24", "0.0.0.0/0", "10.0.0.0/8"]
        let plan = try plan([policy("10.0.0.0/8", "10.0.0.0/8")], local: ["10.1.0.1"], peers: ["10.99.0.2"])
        for text in ["10.2.0.1", "10.0.0.1", "10.99.1.1", "10.98.255.255", "10.255.255.255", "10.1.1.0"] {
            #expect(try tunnel(plan, to: text, main: main), "\(text)")
        }
        for text in ["10.99.0.2", "10.99.0.77", "10.1.0.9", "9.255.255.255", "11.0.0.0"] {
            #expect(try !tunnel(plan, to: text, main: main), "\(text)")
        }
        #expect(try !plan.leads(to: address("10.99.0.2")))
    }

    /// A policy for everything is for what comes from its own addresses, so that IKE and what else the host sends is not caught.
    @Test func everything() throws {
        let plan = try plan(
            [policy("10.1.0.0/16", "0.0.0.0/0"), policy("10.1.0.0/16", "10.7.0.0/16", .bypass)],
            local: ["192.0.2.1", "10.1.0.1"], peers: ["192.0.2.2"])
        let main = ["0.0.0.0/0", "10.1.0.0/16"]
        #expect(try tunnel(plan, to: "8.8.8.8", from: "10.1.0.1", main: main))
        #expect(try !tunnel(plan, to: "8.8.8.8", from: "192.0.2.1", main: main))
        #expect(try !tunnel(plan, to: "8.8.8.8", main: main))
        #expect(try !tunnel(plan, to: "10.1.0.77", from: "10.1.0.1", main: main))
        #expect(try !tunnel(plan, to: "192.0.2.2", from: "10.1.0.1", main: main))
        #expect(try !tunnel(plan, to: "10.7.0.1", from: "10.1.0.1", main: main), "a policy lets it pass")
        #expect(try !plan.leads(to: address("8.8.8.8")))
    }

    /// Narrower prefixes decide first, with the main table's between them.
    @Test func lengthsInOrder() throws {
        let plan = try plan(
            [policy("10.1.0.0/16", "10.2.0.0/16"), policy("10.1.0.0/16", "10.2.3.0/24")], local: ["10.1.0.1"])
        #expect(try tunnel(plan, to: "10.2.3.1", main: ["10.2.0.0/20"]))
        #expect(try !tunnel(plan, to: "10.2.4.1", main: ["10.2.0.0/20"]))
        #expect(try tunnel(plan, to: "10.2.99.1", main: ["10.2.0.0/20", "10.2.0.0/16"]))
    }

    /// What a policy is not for goes the host's way.
    @Test func protocolsAndPorts() throws {
        let plan = try plan(
            [
                policy("10.1.0.0/16", "10.2.0.0/16", protocol: 6, destinationPorts: 80...89),
                policy("10.1.0.0/16", "10.2.0.0/16", protocol: 47),
                policy("10.1.0.0/16", "10.3.0.0/16", protocol: 17, destinationPorts: 0...1023),
            ], local: ["10.1.0.1"])
        #expect(try tunnel(plan, to: "10.2.0.1", port: 89) && !tunnel(plan, to: "10.2.0.1", port: 90))
        #expect(try tunnel(plan, to: "10.2.0.1", protocol: 47) && !tunnel(plan, to: "10.2.0.1", protocol: 17))
        #expect(try !tunnel(plan, to: "10.3.0.1") && tunnel(plan, to: "10.3.0.1", protocol: 17, port: 1023))
        #expect(plan.rules.compactMap(\.destinationPorts).allSatisfy { $0.lowerBound > 0 && $0.upperBound < 65535 })
    }

    @Test func tablesAreBounded() throws {
        let many = try (1...100).map { port in
            try policy("10.1.0.0/16", "10.2.0.0/16", protocol: 6, destinationPorts: UInt16(port)...UInt16(port))
        }
        let plan = try plan(many, local: ["10.1.0.1"])
        #expect(plan.isCut && plan.rules.count == HostRoutes.priorities.count)
        #expect(plan.rules.allSatisfy { HostRoutes.priorities.contains($0.priority) })
    }
}
