import Gateway

/// The output of `sluice bench --ike`: as JSON with exactly these names in snake_case, or as text.
package struct BenchIKEDocument: Codable, Hashable, Sendable {
    /// IKE SAs that were negotiated and kept, each with one CHILD_SA.
    package var associations: Int
    /// IKE_SA_INIT and IKE_AUTH as responder, one core.
    package var handshakesPerSecond: Double
    /// Resident memory of an IKE SA with its CHILD_SA.
    package var bytesPerAssociation: Double
    package var dpdDelaySeconds: UInt64
    package var livenessChecks: UInt64
    /// Share of a core, 0 to 1, with all IKE SAs up and silent.
    package var controlThreadLoad: Double

    /// The cost of a CHILD_SA in the dataplane's tables, microseconds of the control thread.
    package struct ChildCost: Codable, Hashable, Sendable {
        /// CHILD_SAs that are there meanwhile.
        package var present: Int
        package var upMicroseconds: Double
        package var rekeyMicroseconds: Double
        package var downMicroseconds: Double
    }

    package var children: [ChildCost]
    /// The time for as many CHILD_SAs as the last of `children` says, brought up one after the other.
    package var childrenUpSeconds: Double

    package init(_ report: IKEBenchmark.Report, _ childReport: ChildBenchmark.Report) {
        children = childReport.costs.map {
            ChildCost(
                present: $0.present, upMicroseconds: $0.up, rekeyMicroseconds: $0.rekey, downMicroseconds: $0.down)
        }
        childrenUpSeconds = childReport.seconds
        associations = report.associations
        handshakesPerSecond = report.handshakesPerSecond.rounded()
        bytesPerAssociation = report.bytesPerAssociation.rounded()
        dpdDelaySeconds = report.dpdDelayInSeconds
        livenessChecks = report.livenessChecks
        controlThreadLoad = report.controlThreadLoad
    }

    package var text: String {
        var table = TextTable([.left("IKEv2 as responder, X25519, pre-shared key, one core"), .right("measured")])
        table.append(["handshakes (IKE_SA_INIT and IKE_AUTH) a second", "\(Int(handshakesPerSecond))"])
        table.append(["KiB for each IKE SA with one CHILD_SA", HumanText.decimal(bytesPerAssociation / 1024)])
        table.append([
            "% of a core for \(associations) IKE SAs, liveness checks every \(dpdDelaySeconds) s",
            HumanText.hundredths(controlThreadLoad * 100),
        ])
        for cost in children {
            table.append([
                "µs of tables for a CHILD_SA up / rekeyed / down, \(cost.present) present",
                [cost.upMicroseconds, cost.rekeyMicroseconds, cost.downMicroseconds].map(HumanText.decimal)
                    .joined(separator: " / "),
            ])
        }
        table.append(["s of tables for all of them up", HumanText.hundredths(childrenUpSeconds)])
        return table.text()
    }
}
