/// What was negotiated, as aligned tables.
extension NegotiationStatus {
    /// Empty when there is nothing to tell.
    func text() -> [String] {
        var sections: [String] = []
        if !ikeAssociations.isEmpty { sections.append("IKE SAs\n" + sessionsTable.text()) }
        if ikeAssociations.contains(where: { !$0.children.isEmpty }) {
            sections.append("CHILD_SAs\n" + childrenTable.text())
        }
        let happened = counters.filter { $0.count > 0 }
        if !happened.isEmpty {
            let words = happened.map { "\($0.name) \(HumanText.count($0.count))" }
            sections.append("IKE so far: \(words.joined(separator: ", "))\n")
        }
        return sections
    }

    private var sessionsTable: TextTable {
        var table = TextTable([
            .right("id"), .left("connection"), .left("state"), .left("role"), .left("local"), .left("remote"),
            .left("local identity"), .left("remote identity"), .left("algorithms"), .left("nat"), .right("age"),
            .right("rekey in"), .left("tasks"),
        ])
        for session in ikeAssociations {
            table.append([
                "\(session.identifier)", session.connection ?? "-", session.state, session.role, session.local,
                session.remote, session.localIdentity ?? "-", session.remoteIdentity ?? "-",
                session.algorithms ?? "-", session.nat ?? "no", Self.duration(session.establishedSeconds),
                Self.duration(session.rekeyInSeconds),
                (session.activeTasks + session.queuedTasks).joined(separator: " "),
            ])
        }
        return table
    }

    private var childrenTable: TextTable {
        var table = TextTable([
            .right("id"), .left("child"), .right("of"), .left("state"), .left("spi in"), .left("spi out"),
            .right("reqid"), .left("algorithms"), .left("local"), .left("remote"), .right("packets in"),
            .right("packets out"), .right("age"), .right("rekey in"), .right("expires in"),
        ])
        for session in ikeAssociations {
            for child in session.children {
                table.append([
                    "\(child.identifier)", child.name, "\(session.identifier)", child.state, child.inboundSPI,
                    child.outboundSPI, "\(child.requestIdentifier)", child.algorithms,
                    child.localSelectors.joined(separator: " "), child.remoteSelectors.joined(separator: " "),
                    HumanText.count(child.inboundPackets), HumanText.count(child.outboundPackets),
                    Self.duration(child.establishedSeconds), Self.duration(child.rekeyInSeconds),
                    Self.duration(child.expiresInSeconds),
                ])
            }
        }
        return table
    }

    private static func duration(_ seconds: Int?) -> String {
        seconds.map { HumanText.duration(seconds: $0) } ?? "-"
    }
}
