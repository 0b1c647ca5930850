/// The answer of all CRLs together about one certificate (RFC 5280 section 6.3).
enum RevocationStatus {
    /// Lists that are current cover it for all reasons, and none has it.
    case good
    case revoked(since: Int64?, reason: String?)
    /// No list, or none that says enough.
    case unknown(Gap)

    /// Why the status is unknown.
    enum Gap {
        /// There is no list of the issuer.
        case noList
        /// The lists that would do are not current.
        case outdated
        /// There are lists, which do not tell.
        case insufficient(reason: String)
    }
}

/// A complete list and its delta lists, one issuer, one key, one scope: they are read as one.
struct RevocationGroup {
    /// The latest one that is not of the future.
    private let complete: RevocationList?
    /// Other complete ones, which it is not newer than by date and number: what they revoke is revoked.
    private let rivals: [RevocationList]
    /// The delta lists from the lowest number up, without those that the complete list is newer than.
    private let deltas: [RevocationList]

    /// Groups lists that the same key signed.
    static func groups(of lists: [RevocationList], at time: Int64) -> [RevocationGroup] {
        var parts: [[RevocationList]] = []
        for list in lists {
            let index = parts.firstIndex { part in
                part[0].scope?.der == list.scope?.der && part[0].issuer.matches(list.issuer)
            }
            if let index { parts[index].append(list) } else { parts.append([list]) }
        }
        return parts.map { RevocationGroup($0, at: time) }
    }

    private init(_ lists: [RevocationList], at time: Int64) {
        let completes = lists.filter { !$0.isDelta }
        let issued = completes.filter { $0.thisUpdate <= time }
        let latest = (issued.isEmpty ? completes : issued).max {
            $0.thisUpdate < $1.thisUpdate || $1.isNewer(than: $0)
        }
        complete = latest
        rivals = completes.filter { $0 !== latest && latest?.isNewer(than: $0) == false }
        sample = lists[0]
        deltas = lists.filter { list in
            guard list.isDelta else { return false }
            guard let known = latest?.number, let number = list.number else { return true }
            return number >= known
        }.sorted { ($0.number ?? .zero) < ($1.number ?? .zero) }
    }

    /// One of them: issuer and scope are those of all.
    let sample: RevocationList
    var isDeltaOnly: Bool { complete == nil }

    /// The answer of these lists about a certificate, and whether that is still so at `time`.
    ///
    /// Deltas are applied one after the other, each where it continues what is there (section 5.2.4). A delta with a gap
    /// before it still revokes, as its issuer said so, but neither takes a revocation back nor keeps the rest current.
    func reading(of certificate: Certificate, at time: Int64) -> (entry: RevocationList.Entry, isCurrent: Bool) {
        var entry = RevocationList.Entry.none
        for list in rivals + (complete.map { [$0] } ?? []) {
            // Only delta lists take anything back.
            if case .revoked(let since, let reason) = list.entry(of: certificate.handle) {
                entry = .revoked(since: since, reason: reason)
            }
        }
        var number = complete?.number
        var isCurrent = complete.map { $0.isCurrent(at: time) && !$0.isPartlyUnknown } ?? false
        for delta in deltas {
            let continues = number.map { delta.baseNumber ?? $0 <= $0 && $0 < delta.number ?? $0 } ?? false
            let counts = continues && delta.thisUpdate <= time && !delta.isPartlyUnknown
            switch delta.entry(of: certificate.handle) {
            case .revoked(let since, let reason): entry = .revoked(since: since, reason: reason)
            case .removed where counts: entry = .none
            case .removed, .none: break
            }
            guard counts else { continue }
            number = delta.number
            isCurrent = isCurrent || (delta.isCurrent(at: time) && complete?.isPartlyUnknown == false)
        }
        return (entry, isCurrent)
    }
}

extension RevocationList {
    fileprivate func isNewer(than other: RevocationList) -> Bool {
        isNoOlder(than: other) && !other.isNoOlder(than: self)
    }
}

extension RevocationList.Number {
    static let zero = RevocationList.Number(bytes: [])
}
