/* A complete minimal speaker for cic-gateway, in C: it is heard, answers, obeys, and rings.
 *
 *     cc -O2 -Wall -Wextra -o appliance appliance.c -lmosquitto -lcjson
 *     ./appliance 127.0.0.1 1883 kitchen PASSWORD
 *
 * Needs libmosquitto and cJSON (Debian: libmosquitto-dev libcjson-dev; ESP-IDF has cJSON, and its
 * MQTT client has the same calls under other names). Then type: a request ("what time is it"),
 * "say FILE.wav", "stop" (what rings), or "quit". What firmware has to replace is marked HARDWARE.
 *
 * One thread does it all: every 10 ms at the latest it looks at the network, the keyboard and the
 * microphone.
 */
#include <cjson/cJSON.h>
#include <mosquitto.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SLICE = 6400, SLICE_MS = 200, MAX_TOPIC = 256, MAX_ID = 129 };

static struct mosquitto *mqtt;
static char up[MAX_TOPIC], down[MAX_TOPIC]; /* "cic/v1/{id}/up/", "cic/v1/{id}/down/" */
static bool is_running = true;

/* The utterance that is being recorded. */
static FILE *microphone;
static char utterance[32];
static long next_slice_ms;
/* The expectSpeechId to answer with, if CLOVA has asked something. */
static char question[MAX_ID];

/* The Speak that plays. The gateway hands out one at a time. */
static struct {
    char token[MAX_ID], content[MAX_ID], dialogue[MAX_ID];
    FILE *file;
    long bytes;
    bool is_cut_off;
} speech;
static int answers;

static char ringing[MAX_ID], ringing_since[64]; /* token and scheduledTime; one is enough here */
static char stopped[MAX_ID], stopped_since[64];
static char last_directive[MAX_ID]; /* QoS 1 may repeat a message */
static int volume = 5;

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void copy(char *to, size_t size, const char *from) {
    snprintf(to, size, "%s", from ? from : "");
}

/* A text of an object, or "". */
static const char *text(const cJSON *object, const char *name) {
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return value ? value : "";
}

static void publish_bytes(const char *rest, const void *data, int size, int qos, bool retain) {
    char topic[2 * MAX_TOPIC];
    snprintf(topic, sizeof topic, "%s%s", up, rest);
    mosquitto_publish(mqtt, NULL, topic, size, data, qos, retain);
}

/* Publishes an object and frees it. */
static void publish(const char *rest, cJSON *object, bool retain) {
    char *json = cJSON_PrintUnformatted(object);
    if (json) publish_bytes(rest, json, (int)strlen(json), 1, retain);
    cJSON_free(json);
    cJSON_Delete(object);
}

/* {"token": TOKEN, "state": STATE} */
static void report(const char *rest, const char *token, const char *state) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "token", token);
    cJSON_AddStringToObject(object, "state", state);
    publish(rest, object, false);
}

/* ---- what it says of itself ---- */

static cJSON *state(void) {
    char json[512];
    snprintf(json, sizeof json,
             "{\"Device.DeviceState\":{\"volume\":{\"actions\":[\"Decrease\",\"Increase\","
             "\"SetValue\"],\"min\":0,\"max\":10,\"value\":%d}},"
             "\"Device.Display\":{\"size\":\"none\"},"
             "\"Speaker.VolumeState\":{\"volume\":%d,\"muted\":false}}",
             volume, volume);
    return cJSON_Parse(json);
}

static void on_connect(struct mosquitto *m, void *data, int result) {
    (void)data;
    if (result != 0) {
        fprintf(stderr, "the broker refuses: %s\n", mosquitto_connack_string(result));
        exit(1);
    }
    char all[MAX_TOPIC + 1];
    snprintf(all, sizeof all, "%s#", down);
    mosquitto_subscribe(m, NULL, all, 1);
    publish("state", state(), true);
    publish_bytes("status", "online", 6, 1, true);
}

/* ---- what the user does ---- */

static void add_question(cJSON *request) {
    if (question[0]) cJSON_AddStringToObject(request, "expectSpeechId", question);
    question[0] = '\0';
}

static void type(const char *line) {
    cJSON *request = cJSON_CreateObject();
    cJSON_AddStringToObject(request, "text", line);
    add_question(request);
    publish("text", request, false);
}

/* HARDWARE: opens the microphone; here a WAV file of 16 kHz, 16 bit, mono. */
static void say(const char *path) {
    if (microphone) fclose(microphone);
    microphone = fopen(path, "rb");
    if (!microphone || fseek(microphone, 44, SEEK_SET) != 0) {
        perror(path);
        return;
    }
    next_slice_ms = now_ms();
    snprintf(utterance, sizeof utterance, "u%ld", next_slice_ms);
    cJSON *request = cJSON_CreateObject();
    cJSON_AddStringToObject(request, "utterance", utterance);
    add_question(request);
    publish("recognize", request, false);
}

/* Publishes the next 200 ms when it is time; an empty payload is the end. */
static void record(void) {
    char slice[SLICE], rest[64];
    if (!microphone || now_ms() < next_slice_ms) return;
    next_slice_ms += SLICE_MS;
    size_t size = fread(slice, 1, sizeof slice, microphone) & ~(size_t)1;
    snprintf(rest, sizeof rest, "audio/%s", utterance);
    publish_bytes(rest, slice, (int)size, 0, false);
    if (size == 0) {
        fclose(microphone);
        microphone = NULL;
    }
}

static void press_stop(void) {
    cJSON *button = cJSON_CreateObject();
    cJSON_AddStringToObject(button, "button", "stopAlert");
    publish("button", button, false);
}

/* ---- what comes from the gateway ---- */

static void begin_speech(const cJSON *directive, const cJSON *payload) {
    const char *url = text(payload, "url");
    if (speech.file) fclose(speech.file);
    speech.file = NULL;
    copy(speech.token, sizeof speech.token, text(payload, "token"));
    copy(speech.dialogue, sizeof speech.dialogue, text(directive, "dialogRequestId"));
    speech.bytes = 0;
    speech.is_cut_off = false;
    if (strncmp(url, "cid:", 4) != 0) { /* HARDWARE: download it; here it counts as stopped */
        report("speech", speech.token, "stopped");
        return;
    }
    copy(speech.content, sizeof speech.content, url + 4);
    char name[32];
    snprintf(name, sizeof name, "answer-%d.mp3", ++answers);
    speech.file = fopen(name, "wb");
}

/* HARDWARE: the decoder; "finished" is due when the last sample has been played. */
static void on_audio(const char *content, const void *data, int size) {
    if (!speech.file || strcmp(content, speech.content) != 0) return;
    if (size > 0) {
        if (speech.bytes == 0) report("speech", speech.token, "started");
        speech.bytes += (long)fwrite(data, 1, (size_t)size, speech.file);
        return;
    }
    fclose(speech.file);
    speech.file = NULL;
    const char *became = speech.is_cut_off ? "stopped" : "finished";
    report("speech", speech.token, became);
    printf("speech %s, %ld bytes\n", became, speech.bytes);
}

static void on_cancel(const cJSON *cancel) {
    const cJSON *token;
    const char *dialogue = text(cancel, "dialogRequestId");
    bool is_meant = dialogue[0] && strcmp(dialogue, speech.dialogue) == 0;
    cJSON_ArrayForEach(token, cJSON_GetObjectItemCaseSensitive(cancel, "tokens")) {
        const char *named = cJSON_GetStringValue(token);
        is_meant = is_meant || (named && strcmp(named, speech.token) == 0);
    }
    if (is_meant && speech.file) { /* nothing is reported: the gateway has done it */
        fclose(speech.file);
        speech.file = NULL;
    }
}

static void on_capture(const cJSON *capture) {
    if (strcmp(text(capture, "action"), "listen") == 0) {
        copy(question, sizeof question, text(capture, "expectSpeechId"));
        printf("CLOVA asks back\n"); /* HARDWARE: open the microphone */
    } else if (microphone && strcmp(text(capture, "utterance"), utterance) == 0) {
        fclose(microphone);
        microphone = NULL;
    }
}

static void on_alert(const cJSON *alert) {
    const char *action = text(alert, "action"), *token = text(alert, "token");
    const char *since = text(alert, "scheduledTime");
    bool is_ringing = strcmp(token, ringing) == 0;
    if (strcmp(action, "ring") == 0) {
        /* It may be repeated: token and time say whether it is a new one. */
        if (is_ringing && strcmp(since, ringing_since) == 0) return;
        if (strcmp(token, stopped) == 0 && strcmp(since, stopped_since) == 0) return;
        copy(ringing, sizeof ringing, token);
        copy(ringing_since, sizeof ringing_since, since);
        printf("RING: %s\n", text(alert, "type")); /* HARDWARE: its assets, or a bell */
        report("alert", token, "started");
    } else if (is_ringing && strcmp(action, "set") != 0) {
        copy(stopped, sizeof stopped, ringing);
        copy(stopped_since, sizeof stopped_since, ringing_since);
        ringing[0] = '\0';
        printf("silent\n");
        report("alert", token, "stopped");
    }
}

/* Each order is answered; "state" tells CLOVA how it is now. */
static void on_order(const char *message_id, const char *name, const cJSON *payload) {
    const char *value = text(payload, "value");
    int by = value[0] ? atoi(value) : 1;
    cJSON *result = cJSON_CreateObject();
    cJSON_AddStringToObject(result, "messageId", message_id);
    bool is_volume = strcmp(text(payload, "target"), "volume") == 0;
    if (is_volume && strcmp(name, "Increase") == 0) volume += by;
    else if (is_volume && strcmp(name, "Decrease") == 0) volume -= by;
    else if (is_volume && strcmp(name, "SetValue") == 0) volume = by;
    else {
        cJSON_AddFalseToObject(result, "ok");
        cJSON_AddStringToObject(result, "reason", "it cannot do that");
        publish("result", result, false);
        return;
    }
    volume = volume < 0 ? 0 : volume > 10 ? 10 : volume; /* HARDWARE: the amplifier */
    printf("volume: %d\n", volume);
    cJSON_AddTrueToObject(result, "ok");
    cJSON_AddItemToObject(result, "state", state());
    publish("result", result, false);
    publish("state", state(), true);
}

static void on_directive(const cJSON *directive) {
    const char *namespace = text(directive, "namespace"), *name = text(directive, "name");
    const char *message_id = text(directive, "messageId");
    const cJSON *payload = cJSON_GetObjectItemCaseSensitive(directive, "payload");
    if (strcmp(message_id, last_directive) == 0) return;
    copy(last_directive, sizeof last_directive, message_id);
    if (strcmp(namespace, "SpeechSynthesizer") == 0 && strcmp(name, "Speak") == 0) {
        begin_speech(directive, payload);
    } else if (strcmp(namespace, "Clova") == 0 && strcmp(name, "RenderText") == 0) {
        printf("CLOVA shows: %s\n", text(payload, "text"));
    } else if (strcmp(namespace, "AudioPlayer") == 0 && strcmp(name, "Play") == 0) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(payload, "audioItem");
        const cJSON *stream = cJSON_GetObjectItemCaseSensitive(item, "stream");
        report("playback", text(stream, "token"), "failed"); /* it has no music player */
    } else if (strcmp(namespace, "DeviceControl") == 0) {
        on_order(message_id, name, payload);
    }
}

static void on_error(const cJSON *error) {
    printf("error: %s: %s\n", text(error, "code"), text(error, "message"));
    if (strcmp(text(error, "contentId"), speech.content) == 0) speech.is_cut_off = true;
}

static void on_message(struct mosquitto *m, void *data, const struct mosquitto_message *message) {
    (void)m, (void)data;
    if (strncmp(message->topic, down, strlen(down)) != 0) return;
    const char *rest = message->topic + strlen(down);
    if (strncmp(rest, "audio/", 6) == 0) {
        on_audio(rest + 6, message->payload, message->payloadlen);
        return;
    }
    cJSON *json = cJSON_ParseWithLength(message->payload, (size_t)message->payloadlen);
    if (strcmp(rest, "session") == 0) printf("session: %s\n", text(json, "state"));
    else if (strcmp(rest, "dialogue") == 0) printf("dialogue: %s\n", text(json, "state"));
    else if (strcmp(rest, "capture") == 0) on_capture(json);
    else if (strcmp(rest, "cancel") == 0) on_cancel(json);
    else if (strcmp(rest, "alert") == 0) on_alert(json);
    else if (strcmp(rest, "directive") == 0) on_directive(json);
    else if (strcmp(rest, "error") == 0) on_error(json);
    cJSON_Delete(json);
}

/* ---- the loop ---- */

static void obey(char *line) {
    line[strcspn(line, "\r\n")] = '\0';
    if (strcmp(line, "quit") == 0) is_running = false;
    else if (strcmp(line, "stop") == 0) press_stop();
    else if (strncmp(line, "say ", 4) == 0) say(line + 4);
    else if (line[0]) type(line);
}

/* Reads what has been typed, without waiting. */
static void look_at_keyboard(void) {
    static char line[512];
    static size_t length;
    struct pollfd keyboard = {.fd = STDIN_FILENO, .events = POLLIN};
    while (is_running && poll(&keyboard, 1, 0) > 0) {
        ssize_t got = read(STDIN_FILENO, line + length, 1);
        if (got <= 0) is_running = false;
        else if (line[length] == '\n' || length + 2 == sizeof line) {
            line[length + 1] = '\0';
            length = 0;
            obey(line);
        } else length++;
    }
}

static void leave(void) {
    publish_bytes("status", "offline", 7, 1, true);
    for (int turn = 0; turn < 50 && mosquitto_want_write(mqtt); turn++) mosquitto_loop(mqtt, 10, 1);
    mosquitto_disconnect(mqtt);
}

int main(int count, char **args) {
    if (count != 5) {
        fprintf(stderr, "usage: %s HOST PORT ID PASSWORD\n", args[0]);
        return 2;
    }
    const char *id = args[3];
    snprintf(up, sizeof up, "cic/v1/%.64s/up/", id);
    snprintf(down, sizeof down, "cic/v1/%.64s/down/", id);
    setvbuf(stdout, NULL, _IOLBF, 0);

    mosquitto_lib_init();
    mqtt = mosquitto_new(id, false, NULL); /* a persistent session */
    mosquitto_username_pw_set(mqtt, id, args[4]); /* TLS: mosquitto_tls_set */
    char status[MAX_TOPIC + 8];
    snprintf(status, sizeof status, "%sstatus", up);
    mosquitto_will_set(mqtt, status, 7, "offline", 1, true);
    mosquitto_connect_callback_set(mqtt, on_connect);
    mosquitto_message_callback_set(mqtt, on_message);
    if (mosquitto_connect(mqtt, args[1], atoi(args[2]), 30) != MOSQ_ERR_SUCCESS) {
        fprintf(stderr, "no broker at %s:%s\n", args[1], args[2]);
        return 1;
    }
    while (is_running) {
        if (mosquitto_loop(mqtt, 10, 1) != MOSQ_ERR_SUCCESS) {
            sleep(1);
            mosquitto_reconnect(mqtt);
        }
        look_at_keyboard();
        record();
    }
    leave();
    mosquitto_destroy(mqtt);
    mosquitto_lib_cleanup();
    return 0;
}
