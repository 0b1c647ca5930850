import Configuration
import IKEv2
import Packets

/// IKE SAs and CHILD_SAs in the shape of strongSwan's `list-sa`, which the events of SAs have too.
enum SAListing {
    /// All of an IKE SA, with those of its children that `isIncluded` chooses. `now` is the manager's clock.
    static func message(
        _ ike: IKESAStatus, now: Instant, children isIncluded: (ChildSAStatus) -> Bool = { _ in true }
    ) -> VICIMessage {
        var children = VICIMessage()
        for child in ike.children where isIncluded(child) {
            children.append("\(child.sa.child.name)-\(child.sa.id)", section: section(child, now: now))
        }
        return named(ike, now: now, children: children)
    }

    /// An IKE SA under its connection's name. nil: without a section of children, as in `ike-updown`.
    static func named(_ ike: IKESAStatus, now: Instant, children: VICIMessage?) -> VICIMessage {
        var section = section(ike, now: now)
        if let children { section.append("child-sas", section: children) }
        var message = VICIMessage()
        message.append(ike.listedName, section: section)
        return message
    }

    /// An IKE SA without its children.
    static func section(_ ike: IKESAStatus, now: Instant) -> VICIMessage {
        var section: VICIMessage = [
            "uniqueid": "\(ike.id)",
            "version": "2",
            "state": ike.state.rawValue,
            "local-host": "\(ike.path.local.address)",
            "local-port": "\(ike.path.local.port)",
            "local-id": PlainText.of("\(ike.localIdentity ?? .any)"),
            "remote-host": "\(ike.path.remote.address)",
            "remote-port": "\(ike.path.remote.port)",
            "remote-id": PlainText.of("\(ike.remoteIdentity ?? .any)"),
        ]
        if ike.isInitiator { section.append("initiator", "yes") }
        section.append("initiator-spi", Hexadecimal.text(ike.initiatorSPI))
        section.append("responder-spi", Hexadecimal.text(ike.responderSPI))
        if ike.hasLocalNAT { section.append("nat-local", "yes") }
        if ike.hasRemoteNAT { section.append("nat-remote", "yes") }
        if ike.hasLocalNAT || ike.hasRemoteNAT { section.append("nat-any", "yes") }
        section.append("encr", algorithm: ike.suite?.encryption.listed)
        section.append("integ", algorithm: ike.suite?.integrity?.listed)
        section.append("prf", algorithm: ike.function?.listed)
        if let group = ike.keyExchange { section.append("dh-group", group.listed.name) }
        section.append("established", elapsed: ike.establishedAt, now: now)
        section.append("rekey-time", until: ike.rekeyAt, now: now)
        section.append("reauth-time", until: ike.reauthenticateAt, now: now)
        if !ike.queuedTasks.isEmpty { section.append("tasks-queued", list: ike.queuedTasks) }
        if !ike.activeTasks.isEmpty { section.append("tasks-active", list: ike.activeTasks) }
        return section
    }

    static func section(_ child: ChildSAStatus, now: Instant) -> VICIMessage {
        let sa = child.sa
        var section: VICIMessage = [
            "name": sa.child.name,
            "uniqueid": "\(sa.id)",
            "reqid": "\(sa.requestID)",
            "state": child.state.rawValue,
            "mode": sa.mode.rawValue.uppercased(),
            "protocol": "ESP",
        ]
        if sa.isEncapsulated { section.append("encap", "yes") }
        section.append("spi-in", sa.inboundSPI.digits)
        section.append("spi-out", sa.outboundSPI.digits)
        section.append("encr", algorithm: sa.transform.encryption.listed)
        section.append("integ", algorithm: sa.transform.integrity?.listed)
        if let group = sa.keyExchange { section.append("dh-group", group.listed.name) }
        if sa.extendedSequenceNumbers { section.append("esn", "1") }
        for row in ChildMetrics.inbound { section.append(row.name, row.read(child.usage)) }
        section.append("use-in", elapsed: child.usage.lastInbound, now: now)
        for row in ChildMetrics.outbound { section.append(row.name, row.read(child.usage)) }
        section.append("use-out", elapsed: child.usage.lastOutbound, now: now)
        section.append("rekey-time", until: child.rekeyAt, now: now)
        section.append("life-time", until: child.expiresAt, now: now)
        section.append("install-time", elapsed: sa.establishedAt, now: now)
        section.append("local-ts", list: ListedSelector.list(sa.localSelectors))
        section.append("remote-ts", list: ListedSelector.list(sa.remoteSelectors))
        return section
    }
}

extension IKESAStatus {
    /// The connection's name; a responder that does not know it yet has strongSwan's word for that.
    var listedName: String { connectionName.isEmpty ? "(unnamed)" : connectionName }
}

extension VICIMessage {
    /// Whole seconds since `moment`; nothing when there was none.
    fileprivate mutating func append(_ name: String, elapsed moment: Instant?, now: Instant) {
        guard let moment else { return }
        append(name, max(now - moment, .zero).wholeSeconds)
    }

    /// Whole seconds until `moment`, 0 when it has come; nothing when there is none.
    fileprivate mutating func append(_ name: String, until moment: Instant?, now: Instant) {
        guard let moment else { return }
        append(name, max(moment - now, .zero).wholeSeconds)
    }
}

/// Numbers with all their hexadecimal digits, without a prefix.
enum Hexadecimal {
    static func text<Number: FixedWidthInteger & UnsignedInteger>(_ number: Number) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: Number.bitWidth / 4 - digits.count) + digits
    }

    static func text(_ bytes: [UInt8]) -> String { bytes.map { text($0) }.joined() }
}
