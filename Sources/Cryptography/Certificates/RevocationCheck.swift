import CLibCrypto

/// Asks the CRLs about every certificate of a chain but the one that is trusted as it is.
struct RevocationCheck {
    let store: TrustStore
    let policy: RevocationPolicy
    /// Seconds since 1970, UTC.
    let time: Int64
    /// Certificates that may have signed a list besides those of the chain.
    let pool: [Certificate]

    /// Throws `revoked`, or what the policy has against an unknown status. `chain`: the peer's certificate first, the
    /// trusted one last, of which nobody but itself could say anything.
    func verify(_ chain: [Certificate]) throws(CertificateError) {
        guard let anchor = chain.last else { return }
        for (certificate, issuer) in zip(chain, chain.dropFirst()) {
            try judge(certificate, status(of: certificate, issuer: issuer, anchor: anchor))
        }
    }

    /// Throws `revoked`, or what the policy has against an unknown status.
    func judge(_ certificate: Certificate, _ status: RevocationStatus) throws(CertificateError) {
        let (subject, issuer) = (certificate.description, certificate.issuer.description)
        switch status {
        case .good: return
        case .revoked(let since, let reason):
            throw .revoked(
                subject: subject, serialNumber: certificate.serialNumber, since: since, reason: reason)
        case .unknown(let gap):
            if policy.tolerates(certificate) { return }
            switch gap {
            case .noList: throw .noRevocationList(subject: subject, issuer: issuer)
            case .outdated: throw .staleRevocationList(subject: subject, issuer: issuer)
            case .insufficient(let reason):
                throw .insufficientRevocationList(subject: subject, issuer: issuer, reason: reason)
            }
        }
    }

    /// RFC 5280 section 6.3.3, with two differences, both on the safe side: what the issuer itself has signed revokes
    /// whatever scope and age the list has, and so does what a trusted authority of the issuer's name has signed with
    /// another key. Such lists do not show that a certificate is good.
    ///
    /// - Parameter followsDelegation: whether lists count that another key than the issuer's signed.
    func status(
        of certificate: Certificate, issuer: Certificate, anchor: Certificate, followsDelegation: Bool = true
    ) -> RevocationStatus {
        let points = DistributionPoint.all(of: certificate.handle)
        let related = store.revocationLists.filter { list in
            list.isDirect(for: certificate) || !list.coverage(of: certificate, points: points).isEmpty
        }
        if related.isEmpty { return .unknown(.noList) }
        var findings = RevocationFindings()
        for (lists, clears) in signed(related, issuer, anchor, followsDelegation) {
            for group in RevocationGroup.groups(of: lists, at: time) {
                let reading = group.reading(of: certificate, at: time)
                // Attribute certificates have serial numbers of their own.
                if case .revoked(let since, let reason) = reading.entry, group.sample.scope?.onlyAttributes != true {
                    return .revoked(since: since, reason: reason)
                }
                findings.add(
                    group, covering: group.sample.coverage(of: certificate, points: points),
                    isCurrent: reading.isCurrent, clears: clears)
            }
        }
        return findings.status
    }

    /// Lists by the key that signed them; those are left out that nobody signed who may. `clears`: they can show that a
    /// certificate is good, since the signer's chain ends where that of the certificate does (RFC 5280 section 6.3.3
    /// step f) and the policy accepts it.
    private func signed(
        _ lists: [RevocationList], _ issuer: Certificate, _ anchor: Certificate, _ followsDelegation: Bool
    ) -> [(lists: [RevocationList], clears: Bool)] {
        let own = lists.filter { $0.isSigned(by: issuer) }
        var result = own.isEmpty ? [] : [(lists: own, clears: true)]
        let others = lists.filter { !own.contains($0) }
        if !followsDelegation || others.isEmpty { return result }
        var keys: Set<[UInt8]> = [issuer.publicKeyHash]
        for signer in pool + store.authorities where !keys.contains(signer.publicKeyHash) {
            guard others.contains(where: { $0.issuer.matches(signer.subject) }), signer.maySignRevocationLists,
                let (end, isAccepted) = trustedEnd(of: signer)
            else { continue }
            let signed = others.filter { $0.isSigned(by: signer) }
            if signed.isEmpty { continue }
            keys.insert(signer.publicKeyHash)
            let isSame = end.publicKeyHash == anchor.publicKeyHash && end.subject.matches(anchor.subject)
            result.append((signed, isSame && isAccepted))
        }
        return result
    }

    /// The trusted authority above a signer of lists, if its chain is good and not known to be revoked by lists that
    /// the chain's own keys have signed; and whether the policy accepts all of the chain.
    private func trustedEnd(of signer: Certificate) -> (end: Certificate, isAccepted: Bool)? {
        guard let chain = try? store.chain(from: signer, intermediates: pool, at: time), let end = chain.last else {
            return nil
        }
        var isAccepted = true
        for (certificate, issuer) in zip(chain, chain.dropFirst()) {
            switch status(of: certificate, issuer: issuer, anchor: end, followsDelegation: false) {
            case .good: continue
            case .revoked: return nil
            case .unknown: isAccepted = isAccepted && policy.tolerates(certificate)
            }
        }
        return (end, isAccepted)
    }
}

/// The answer of all groups of lists together about a certificate that none has.
private struct RevocationFindings {
    private var covered: RevocationReasons = []
    /// Covered if lists that are not current counted.
    private var coveredOnce: RevocationReasons = []
    private var hasDeltaOnly = false
    private var hasOtherSigner = false
    private var isSigned = false

    mutating func add(
        _ group: RevocationGroup, covering reasons: RevocationReasons, isCurrent: Bool, clears: Bool
    ) {
        isSigned = true
        guard clears else {
            hasOtherSigner = true
            return
        }
        if group.isDeltaOnly {
            hasDeltaOnly = true
            return
        }
        coveredOnce.formUnion(reasons)
        if isCurrent { covered.formUnion(reasons) }
    }

    var status: RevocationStatus {
        if covered == .all { return .good }
        if coveredOnce == .all { return .unknown(.outdated) }
        let reason: String
        if !isSigned {
            reason = "no trusted authority has signed it"
        } else if !coveredOnce.isEmpty {
            reason = "it is about some reasons only"
        } else if hasDeltaOnly {
            reason = "there is a delta CRL, but not the complete one that it changes"
        } else if hasOtherSigner {
            reason = "its signer is below another trusted authority, or the signer's own status is unknown"
        } else {
            reason = "it is about other certificates (issuing distribution point)"
        }
        return .unknown(.insufficient(reason: reason))
    }
}

extension RevocationList {
    /// The certificate's own issuer has made it, going by the names.
    func isDirect(for certificate: Certificate) -> Bool { issuer.matches(certificate.issuer) }

    /// The reasons for which it tells of a certificate with these distribution points; none: it is about others
    /// (RFC 5280 section 6.3.3 steps b and d).
    func coverage(of certificate: Certificate, points: [DistributionPoint]) -> RevocationReasons {
        let reasons = scope?.reasons ?? .all
        if let scope {
            if scope.onlyAttributes { return [] }
            if certificate.isAuthority ? scope.onlyEndEntities : scope.onlyAuthorities { return [] }
        }
        let isDirect = isDirect(for: certificate)
        let own = DistributionName.directory(issuer)
        var covered: RevocationReasons = []
        for point in points {
            if point.listIssuers.isEmpty {
                guard isDirect else { continue }
            } else {
                guard point.listIssuers.meets([own]), isDirect || scope?.isIndirect == true else { continue }
            }
            let names = scope?.names ?? []
            guard names.isEmpty || names.meets(point.names.isEmpty ? point.listIssuers : point.names) else { continue }
            covered.formUnion(reasons.intersection(point.reasons))
        }
        // A list that no distribution point names tells too, when it is for all that its issuer has issued.
        let names = scope?.names ?? []
        if isDirect && (names.isEmpty || names.meets([own])) { covered.formUnion(reasons) }
        return covered
    }
}
