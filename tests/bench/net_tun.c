/* Namespaces and TUN devices: root's business, and nothing of the machine's own network changes. */
#include "net_tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Packets that wait for the emulator to read them; its own queue is the one that drops. */
#define DEVICE_QUEUE 20000

static int failed(const char *what)
{
    int code = errno;
    (void)fprintf(stderr, "net_delay: %s: %s%s\n", what, strerror(code),
                  code == EPERM || code == EACCES
                      ? "; it needs root (CAP_SYS_ADMIN and CAP_NET_ADMIN)"
                  : code == ENOENT || code == ENODEV ? "; this kernel, or container, has no TUN"
                                                     : "");
    return -1;
}

static void set_name(struct ifreq *request, const char *name)
{
    memset(request, 0, sizeof *request);
    (void)snprintf(request->ifr_name, sizeof request->ifr_name, "%s", name);
}

static int set_address(int control, const char *name, unsigned long what, const char *address)
{
    struct ifreq request;
    struct sockaddr_in value = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, address, &value.sin_addr) != 1) {
        errno = EINVAL;
        return -1;
    }
    set_name(&request, name);
    memcpy(&request.ifr_addr, &value, sizeof value);
    return ioctl(control, what, &request);
}

static int bring_up(int control, const char *name)
{
    struct ifreq request;
    set_name(&request, name);
    if (ioctl(control, SIOCGIFFLAGS, &request) != 0)
        return -1;
    request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
    return ioctl(control, SIOCSIFFLAGS, &request);
}

static int configure(const char *name, const char *address, unsigned mtu)
{
    int result = -1;
    struct ifreq request;
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0)
        return -1;
    if (bring_up(control, "lo") != 0)
        goto cleanup;
    set_name(&request, name);
    request.ifr_mtu = (int)mtu;
    if (ioctl(control, SIOCSIFMTU, &request) != 0)
        goto cleanup;
    set_name(&request, name);
    request.ifr_qlen = DEVICE_QUEUE;
    if (ioctl(control, SIOCSIFTXQLEN, &request) != 0)
        goto cleanup;
    if (set_address(control, name, SIOCSIFADDR, address) != 0 ||
        set_address(control, name, SIOCSIFNETMASK, "255.255.255.0") != 0 ||
        bring_up(control, name) != 0)
        goto cleanup;
    result = 0;
cleanup:
    (void)close(control);
    return result;
}

int net_end_open(struct net_end *out, const char *address, unsigned mtu, bool offload)
{
    struct ifreq request;
    *out = (struct net_end){.namespace_fd = -1, .tun_fd = -1};
    if (unshare(CLONE_NEWNET) != 0)
        return failed("making a network namespace");
    out->namespace_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (out->namespace_fd < 0)
        return failed("/proc/thread-self/ns/net");
    out->tun_fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (out->tun_fd < 0)
        return failed("/dev/net/tun");
    set_name(&request, "line");
    request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
    if (ioctl(out->tun_fd, TUNSETIFF, &request) != 0)
        return failed("making a TUN device");
    if (offload && ioctl(out->tun_fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) != 0)
        return failed("asking for segmentation offload");
    if (configure("line", address, mtu) != 0)
        return failed("configuring a TUN device");
    return 0;
}
