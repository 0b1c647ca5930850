import ArgumentParser

/// Names separated by commas: `eth0,eth1`.
struct NameList: ExpressibleByArgument {
    let names: [String]

    init?(argument: String) {
        names = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard names.allSatisfy({ !$0.isEmpty }) else { return nil }
    }
}

/// Core numbers and ranges separated by commas: `2,4-7`.
struct CoreList: ExpressibleByArgument {
    let cores: [Int]

    init?(argument: String) {
        var cores: [Int] = []
        for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            switch ends.count {
            case 1: if let core = ends[0] { cores.append(core) } else { return nil }
            case 2:
                guard let first = ends[0], let last = ends[1], first <= last, last < 1024 else { return nil }
                cores += Array(first...last)
            default: return nil
            }
        }
        self.cores = cores
    }
}
