import Cryptography
import IKEv2
import NIOCore
import Packets

extension IKECommands {
    /// `list-sas`, `list-policies`, `list-conns`, `list-certs`, which stream an event for each item.
    static func listings(_ control: NIOLoopBound<IKEControl>) -> [IKECommand] {
        [
            stream("list-sas", "list-sa", control) { control, request in
                let filter = try SAFilter(request)
                let now = control.now
                // As strongSwan does it: children are chosen within the IKE SAs, which are all there.
                return control.manager.statuses(matching: filter).map { ike in
                    { SAListing.message(ike, now: now) { filter.matches($0) } }
                }
            },
            stream("list-policies", "list-policy", control) { control, request in
                guard request.flag("trap") else { return [] }
                let (ike, child) = (request["ike"], request["child"])
                return control.manager.traps
                    .filter {
                        (ike ?? $0.connectionName) == $0.connectionName && (child ?? $0.child.name) == $0.child.name
                    }
                    .map { trap in { trap.listing } }
            },
            stream("list-conns", "list-conn", control) { control, request in
                control.manager.connections.filter { !$0.isRefused && (request["ike"] ?? $0.name) == $0.name }
                    .map { connection in { ConnectionListing.message(connection) } }
            },
            stream("list-certs", "list-cert", control) { control, request in
                CertificateFilter(request).messages(control.credentials, connections: control.manager.connections)
                    .map { message in { message } }
            },
        ]
    }

    /// A command that streams `event` for each of the messages.
    static func stream(
        _ name: String, _ event: String, _ control: NIOLoopBound<IKEControl>,
        _ messages: @escaping @Sendable (IKEControl, VICIMessage) throws -> [@Sendable () -> VICIMessage]
    ) -> IKECommand {
        IKECommand(name, events: [event], control) { control, request, session in
            session.stream(event, try messages(control, request)).map { VICIMessage() }
        }
    }
}

extension IKECommands {
    /// Commands for things that Sluice does not have: commands that list them find nothing, commands that want it are refused, unless nothing
    /// can come of it.
    static func refused(_ control: NIOLoopBound<IKEControl>) -> [IKECommand] {
        [
            refusal("redirect", "a gateway that redirects its peers (RFC 5685) is not supported", control),
            refusal("load-token", "keys on tokens and in TPMs are not supported; load a private key", control),
            // A client that loads a file goes on with its connections only if this is no error.
            IKECommand("load-pool", control) { control, request in
                guard let pool = request.sections.first?.name, request.sections.count == 1 else {
                    throw Problem("one pool is loaded at a time: one section that has its name")
                }
                control.log(0, "pool \(pool) is not used: pools of virtual addresses are not supported")
                return .success
            },
            refusal("unload-pool", "pools are not supported", control),
            IKECommand("get-pools", control) { _, _ in VICIMessage() },
            IKECommand("get-algorithms", control) { _, _ in AlgorithmListing.message },
        ]
    }

    private static func refusal(_ name: String, _ why: String, _ control: NIOLoopBound<IKEControl>) -> IKECommand {
        IKECommand(name, control) { _, _ in throw Problem(why) }
    }
}

/// Everything that proposals can name, in the shape of strongSwan's `get-algorithms`: all of it is libcrypto's.
enum AlgorithmListing {
    static var message: VICIMessage {
        let suites = IKECipherSuite.all.map(\.encryption)
        var message = VICIMessage()
        message.append(
            "encryption",
            names: suites.filter { !$0.isAEAD }.map(\.listed)
                + ESPTransform.all.filter { !$0.isAEAD }.map(\.encryption.listed))
        message.append(
            "integrity",
            names: IKECipherSuite.Integrity.allCases.map(\.listed) + ESPTransform.Integrity.allCases.map(\.listed))
        message.append(
            "aead",
            names: suites.filter(\.isAEAD).map(\.listed)
                + ESPTransform.all.filter(\.isAEAD).map(\.encryption.listed))
        message.append("prf", names: PRF.allCases.map(\.listed))
        message.append("dh", names: KeyExchangeMethod.allCases.map(\.listed))
        return message
    }
}

extension VICIMessage {
    /// A section with each name once, and who does it.
    fileprivate mutating func append(_ section: String, names: [AlgorithmName]) {
        var seen = Set<String>()
        var listing = VICIMessage()
        for name in names where seen.insert(name.name).inserted { listing.append(name.name, "openssl") }
        append(section, section: listing)
    }
}
