import IPsec

/// The inbound half of the SAD, built once per set of SAs and policies.
final class InboundTables: Sendable {
    let table: SPITable
    let links: HotArray<InboundLink>
    private let entries: HotArray<SPITable.Entry>

    /// SPIs are unique among the associations.
    init(_ associations: [InboundAssociation], policies: [PolicyCounters]) {
        let named = ProtectionSet(policies.map(\.policy).filter { $0.direction != .out })
        links = HotArray(
            associations.map { association in
                let parameters = association.parameters
                return InboundLink(
                    requestID: parameters.requestID,
                    selectorsSuffice: !parameters.selectors.isEmpty && !named.names(parameters),
                    source: parameters.source, destination: parameters.destination)
            })
        // At least twice as many entries as SAs, four to a line.
        let lines = Mixing.powerOfTwo((associations.count * 2 + 3) / 4)
        entries = HotArray(repeating: SPITable.Entry(spi: 0, link: 0, sa: nil), count: lines * 4)
        table = SPITable(entries: UnsafePointer(entries.base), lineMask: UInt32(lines - 1))
        for (index, association) in associations.enumerated() {
            let spi = association.parameters.spi.bigEndian
            var steps = NoSteps()
            let place = entries.base + (table.find(spi, steps: &steps) - UnsafePointer(entries.base))
            place.pointee = SPITable.Entry(spi: spi, link: UInt32(index), sa: association.runtime)
        }
    }
}

/// The protections that policies ask for, to find out quickly whether one of them names an SA.
private struct ProtectionSet {
    private var byRequestID: [UInt32: [SecurityPolicy.Protection]] = [:]

    init(_ policies: [SecurityPolicy]) {
        for protection in Set(policies.compactMap(\.protection)) {
            byRequestID[protection.requestID, default: []].append(protection)
        }
    }

    func names(_ parameters: SAParameters) -> Bool {
        // Policies with request id 0 accept every SA between their endpoints.
        [parameters.requestID, 0].contains { requestID in
            byRequestID[requestID]?.contains {
                $0.accepts(
                    requestID: parameters.requestID, source: parameters.source, destination: parameters.destination)
            } ?? false
        }
    }
}
