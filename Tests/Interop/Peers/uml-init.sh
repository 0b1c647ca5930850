#!/bin/bash
# The first process of a User Mode Linux machine. Its root is the host's file system, read-only; the one place that it
# may write to is the directory named by sluice.dir= on its command line, mounted on /mnt. There the host drops scripts
# (q/NUMBER.sh, moved into place) and finds their output (NUMBER.out) and exit status (NUMBER.rc).
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
mount -t proc proc /proc
for word in $(cat /proc/cmdline); do case $word in sluice.dir=*) directory=${word#*=} ;; esac; done
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mount -t hostfs none /mnt -o "$directory"
echo peer >/proc/sys/kernel/hostname
# Modules lie where the package user-mode-linux puts them, not where modprobe looks.
mkdir -p /run/modules/lib
ln -s /usr/lib/uml/modules /run/modules/lib/modules
printf '#!/bin/sh\nexec /sbin/modprobe -d /run/modules "$@"\n' >/run/modprobe
chmod +x /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
for module in ipv6 xfrm_user xfrm_algo esp4 esp6 ah4 ah6 xfrm4_tunnel xfrm6_tunnel tunnel4 tunnel6 authenc authencesn hmac \
    sha256_generic sha512_generic gcm ctr cbc chacha20poly1305 chacha_generic poly1305_generic echainiv seqiv \
    ghash-generic crypto_null cmac xcbc drbg; do
    /run/modprobe -q "$module" || echo "no module $module"
done
ip link set lo up
echo "booted after $(cut -d' ' -f1 /proc/uptime) s"
touch /mnt/ready
while :; do
    for script in /mnt/q/*.sh; do
        [ -e "$script" ] || continue
        answer=${script%.sh}
        bash "$script" >"$answer.out" 2>&1 </dev/null
        echo $? >"$answer.tmp"
        rm -f "$script"
        mv "$answer.tmp" "$answer.rc"
    done
    busybox usleep 20000
done
