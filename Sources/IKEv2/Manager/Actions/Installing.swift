// CHILD_SAs and the dataplane. Everything that is installed is in `children` until it is removed, whatever happens to the
// session.
extension SessionManager {
    func installInbound(_ sa: ChildSA, of record: SessionRecord) {
        do throws(InstallationError) {
            try dataplane.installInbound(sa)
            let child = ChildInstallation(sa, sessionID: record.id)
            child.isInbound = true
            children[sa.inboundSPI] = child
            record.installed.append(sa.inboundSPI)
            requestIDs.use(sa.requestID)
            if let peer = record.session.identities?.remote ?? record.identities?.remote,
                record.session.connection?.remote.identity.isPattern == true
            {
                child.peer = peer
                holders.add(sa, of: peer)
            }
        } catch {
            requestIDs.abandon(sa.requestID)
            // The peer may use it until it is told: nobody else gets the SPI before.
            uninstalledSPIs.insert(sa.inboundSPI)
            fail(sa, of: record, error)
        }
    }

    func installOutbound(_ sa: ChildSA, of record: SessionRecord) {
        // Without its inbound half the SA has failed already.
        guard let child = children[sa.inboundSPI], !child.isDraining else { return }
        do throws(InstallationError) {
            try dataplane.installOutbound(sa)
            child.isOutbound = true
        } catch {
            fail(sa, of: record, error)
        }
    }

    func removeOutbound(_ sa: ChildSA) {
        guard let child = children[sa.inboundSPI] else { return }
        child.succession = nil
        guard child.isOutbound else { return }
        child.isOutbound = false
        installSuccessor(of: child)
        dataplane.removeOutbound(child.sa)
    }

    func removeInbound(_ sa: ChildSA, atOnce: Bool) {
        guard let child = children[sa.inboundSPI] else {
            if uninstalledSPIs.remove(sa.inboundSPI) != nil { dataplane.releaseSPI(sa.inboundSPI) }
            return
        }
        // The peer may have moved its traffic to the same SA on another IKE SA a moment ago.
        if atOnce && !hasTwin(child) || settings.drainInSeconds == 0 { return remove(child) }
        if child.isDraining { return }
        child.isDraining = true
        forget(child)
        timers.add(.drain(sa.inboundSPI), at: after(seconds: settings.drainInSeconds))
    }

    func move(_ sa: ChildSA, to path: Path, isEncapsulated: Bool) {
        guard let child = children[sa.inboundSPI] else { return }
        dataplane.move(child.sa, to: path, isEncapsulated: isEncapsulated)
        child.sa.path = path
        child.sa.isEncapsulated = isEncapsulated
    }

    func drained(_ spi: UInt32) {
        if let child = children[spi], child.isDraining { remove(child) }
    }

    /// Both directions, at once.
    func remove(_ child: ChildInstallation) {
        removeOutbound(child.sa)
        if child.isInbound { dataplane.removeInbound(child.sa) }
        children[child.sa.inboundSPI] = nil
        forget(child)
        requestIDs.endUse(child.sa.requestID)
    }

    /// The SA is no longer its session's concern.
    private func forget(_ child: ChildInstallation) {
        if let peer = child.peer { holders.remove(child.sa, of: peer) }
        child.peer = nil
        table[child.sessionID]?.installed.removeAll { $0 == child.sa.inboundSPI }
    }

    /// The dataplane did not take an SA that the peer believes in: it is deleted at the peer, and nothing follows from
    /// that.
    private func fail(_ sa: ChildSA, of record: SessionRecord, _ error: InstallationError) {
        count.installationsFailed += 1
        record.unwantedChildren.insert(sa.id)
        let explanation = Explanation(
            "CHILD_SA \(sa.child.name) could not be installed", details: [error.description],
            remedy: "the CHILD_SA is deleted; bring it up again once that is solved")
        afterwards { [self] in
            conclude(.childFailed(name: sa.child.name, explanation), of: record, closing: nil)
            if table[record.id] != nil {
                apply(record.session.deleteChild(id: sa.id, environment: self), of: record)
            }
        }
    }
}
