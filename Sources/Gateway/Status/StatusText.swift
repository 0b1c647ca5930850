/// The status document as aligned tables, for people.
extension StatusReport {
    package func text() -> String {
        var sections = [header]
        if let configuration { sections.append(configuration.text) }
        sections += ports.map(Self.port)
        sections.append(Self.section("Workers", workersTable))
        sections.append(boundary?.text("Closed to packets in clear") ?? "Closed to packets in clear: not known\n")
        sections += negotiation?.text() ?? []
        if !securityAssociations.isEmpty {
            sections.append(Self.section("Security associations", associationsTable) + associationDetails)
        }
        if !policies.isEmpty { sections.append(Self.section("Policies", policiesTable)) }
        if !peers.isEmpty { sections.append(Self.section("Peers", peersTable)) }
        if !neighbours.isEmpty { sections.append(Self.section("Neighbours", neighboursTable)) }
        sections.append(dropsText)
        return sections.joined(separator: "\n")
    }

    private var header: String {
        let pages = frames.hugePages ? "huge pages" : "ordinary pages"
        return """
            sluice \(gateway.version), process \(gateway.processIdentifier), up \
            \(HumanText.duration(seconds: gateway.uptimeSeconds)), \
            \(HumanText.bytes(gateway.residentBytes)) resident, crypto by \(gateway.engine)
            \(HumanText.count(frames.count)) frames of \(frames.sizeInBytes) bytes in \(pages), \
            snapshot \(gateway.snapshotGeneration)

            """
    }

    private static func section(_ title: String, _ table: TextTable) -> String {
        title + "\n" + table.text()
    }

    private static func port(_ port: PortStatus) -> String {
        var output = "Port \(port.name) (\(port.roles.joined(separator: ", "))), \(port.isUp ? "up" : "down"), "
        output += "mtu \(port.mtu), \(port.macAddress)"
        output += port.addresses.isEmpty ? "\n" : ", \(port.addresses.joined(separator: " "))\n"
        output += "  XDP mode \(port.xdpMode): \(port.xdpModeReason)\n"
        output += "  packets  \(port.copyMode): \(port.copyModeReason)\n"
        let steering = port.steering.map { "\($0.name) \(HumanText.count($0.packets))" }
        output += "  steering " + (steering.isEmpty ? "nothing yet" : steering.joined(separator: ", ")) + "\n"
        var table = TextTable(
            [.right("queue"), .right("worker")] + QueueMetrics.columns.map { title, _ in .right(title) })
        for queue in port.queues {
            table.append(
                ["\(queue.queue)", "\(queue.worker)"]
                    + QueueMetrics.columns.map { _, name in HumanText.count(queue.figure(name)) })
        }
        return output + table.text()
    }

    private var workersTable: TextTable {
        var table = TextTable([
            .right("worker"), .right("core"), .right("rx packets"), .right("tx packets"), .right("batches"),
            .right("fill"), .right("cycles/packet"), .right("handed over"), .right("taken over"), .right("sleeps"),
            .right("free frames"), .right("drops"),
        ])
        for worker in workers {
            table.append([
                "\(worker.index)", "\(worker.core)", HumanText.count(worker.receivedPackets),
                HumanText.count(worker.transmittedPackets), HumanText.count(worker.batches),
                HumanText.decimal(worker.batchFill), HumanText.decimal(worker.cyclesPerPacket),
                HumanText.count(worker.handoversSent), HumanText.count(worker.handoversReceived),
                HumanText.count(worker.sleeps), HumanText.count(worker.freeFrames),
                HumanText.count(worker.droppedPackets),
            ])
        }
        return table
    }

    private var associationsTable: TextTable {
        var table = TextTable([
            .left("dir"), .left("spi"), .left("source"), .left("destination"), .right("reqid"), .left("child"),
            .left("transform"), .right("worker"), .right("packets"), .right("bytes"), .right("sequence"),
            .right("window"), .right("dropped"), .left("events"),
        ])
        for association in securityAssociations {
            let dropped = association.drops.reduce(UInt64(0)) { $0 &+ $1.packets }
            table.append([
                association.direction, association.spi, association.source, association.destination,
                "\(association.requestIdentifier)", association.name ?? "-", association.transform,
                "\(association.worker)", HumanText.count(association.packets), HumanText.count(association.bytes),
                HumanText.count(association.sequence), association.replayWindow.map { "\($0)" } ?? "-",
                HumanText.count(dropped), association.events.joined(separator: " "),
            ])
        }
        return table
    }

    /// The reasons why SAs dropped packets, a line each.
    private var associationDetails: String {
        var output = ""
        for association in securityAssociations {
            for drop in association.drops {
                output += "    \(association.spi) dropped \(HumanText.count(drop.packets)) \(drop.reason)\n"
            }
        }
        return output
    }

    private var policiesTable: TextTable {
        var table = TextTable([
            .right("priority"), .left("dir"), .left("source"), .left("destination"), .left("proto"), .left("ports"),
            .left("action"),
            .right("reqid"), .right("packets outside SAs"), .right("bytes"),
        ])
        for policy in policies {
            table.append([
                "\(policy.priority)", policy.direction, policy.source, policy.destination,
                policy.protocol.map { "\($0)" } ?? "any",
                "\(policy.sourcePorts ?? "any") > \(policy.destinationPorts ?? "any")", policy.action,
                policy.requestIdentifier.map { "\($0)" } ?? "-", HumanText.count(policy.packets),
                HumanText.count(policy.bytes),
            ])
        }
        return table
    }

    private var peersTable: TextTable {
        var table = TextTable([
            .left("peer"), .left("next hop"), .left("interface"), .left("state"), .right("mtu"),
        ])
        for peer in peers {
            table.append([
                peer.address, peer.nextHop ?? "on link", peer.interface ?? "-", peer.state,
                peer.mtu.map { "\($0)" } ?? "-",
            ])
        }
        return table
    }

    private var neighboursTable: TextTable {
        var table = TextTable([.left("address"), .left("interface"), .left("link address"), .left("state")])
        for neighbour in neighbours {
            table.append([
                neighbour.address, neighbour.interface, neighbour.macAddress ?? "-", neighbour.state,
            ])
        }
        return table
    }

    private var dropsText: String {
        guard !drops.isEmpty else { return "No packet was dropped.\n" }
        var table = TextTable([.left("reason"), .right("packets"), .left("what it means")])
        for drop in drops { table.append([drop.reason, HumanText.count(drop.packets), drop.explanation ?? ""]) }
        return Self.section("Dropped packets", table)
    }
}

extension ConfigurationStatus {
    fileprivate var text: String {
        let lines = errors.flatMap { $0.split(separator: "\n") }.map { "  \($0)" }
        let refused = refused.isEmpty ? [] : ["  not served, and closed: \(refused.joined(separator: ", "))"]
        return (["Errors of the configuration"] + lines + refused).joined(separator: "\n") + "\n"
    }
}
