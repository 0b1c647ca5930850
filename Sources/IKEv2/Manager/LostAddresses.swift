import Packets

// The host has lost an address: without MOBIKE an IKE SA cannot leave it, and the dataplane sends nothing from it any more.
// Where there is another address towards the peer the IKE SA and its children are negotiated anew from there at once; the
// peer hears by INITIAL_CONTACT that the old ones are gone. Without another one they wait: the address may come back.
extension SessionManager {
    /// - Parameter addresses: all that the host has now.
    func replaceLostAddresses(_ addresses: Set<IPAddress>) {
        for record in table.all where record.isEstablished && !record.isUnwanted {
            let path = record.session.path
            guard !addresses.contains(path.local.address), !isShuttingDown,
                let connection = record.session.connection.flatMap({ connectionTable[$0.name] }),
                let next = localAddress(of: connection, towards: path.remote.address), addresses.contains(next)
            else { continue }
            note(
                .info, "\(path.local.address) is no address of this host any more: the tunnels are set up from \(next)",
                connection: connection.name)
            let wishes = wishes(for: record)
            drop(record)
            bringUp(connection, wishes, towards: path.remote, isStanding: true, isEndless: true)
        }
    }
}
